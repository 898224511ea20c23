//! Numbers with their nouns.

/// A number with its noun in the singular or plural.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    let ending = match count {
        1 => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

/// The numbers of a run's nodes: stages, and backward nodes if there are any.
pub(crate) fn parties(stages: usize, backward: usize) -> String {
    let stages = plural(stages as u64, "stage");
    match backward {
        0 => stages,
        backward => format!("{stages} and {}", plural(backward as u64, "backward node")),
    }
}
