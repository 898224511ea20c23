//! Words and numbers as a person reads them, safe inside HTML.

/// What stands where a run has no number.
pub(super) const NONE: &str = "–";

/// A string of a run inside HTML text or a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A name of the configuration as words: `symmetric_alignment` is "symmetric alignment".
pub(super) fn words(name: &str) -> String {
    match name {
        "one_f_one_b" => "1F1B".to_owned(),
        name => name.replace('_', " "),
    }
}

/// The first letter made large.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A number with so many decimals and a unit behind it, or a dash.
pub(super) fn number(value: Option<f64>, decimals: usize, unit: &str) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.decimals$}{unit}"),
        _ => NONE.to_owned(),
    }
}

/// A fraction in per cent.
pub(super) fn percent(fraction: Option<f64>) -> String {
    number(fraction.map(|f| f * 100.0), 1, "%")
}

/// A whole number, its thousands apart.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate: whole from 10 on.
pub(super) fn rate(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() && value >= 10.0 => count(value.round() as u64),
        value => number(value, 1, ""),
    }
}

/// Bytes in the unit that leaves one to three digits before the point.
pub(super) fn bytes(value: Option<u64>) -> String {
    let Some(value) = value else { return NONE.to_owned() };
    let (mut scaled, mut units) = (value as f64, ["B", "kB", "MB", "GB", "TB", "PB"].iter());
    let mut unit = units.next().unwrap_or(&"");
    while scaled >= 999.5 {
        let Some(larger) = units.next() else { break };
        (scaled, unit) = (scaled / 1000.0, larger);
    }
    let decimals = usize::from(*unit != "B" && scaled < 99.95);
    format!("{scaled:.decimals$} {unit}")
}

/// A duration in its two largest units.
pub(super) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|s| s.is_finite() && *s >= 0.0) else { return NONE.to_owned() };
    let whole = seconds.round() as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {} s", whole % 60),
        _ => format!("{} h {minutes} min", count(hours)),
    }
}

/// One or several: `3 steps`, `1 step`.
pub(super) fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// The name of a run with the colour that it has in every chart, and marks that say how its line is dashed.
pub(super) fn key(index: usize, name: &str) -> String {
    let (hue, dash) = (index % 8, index / 8 % 4);
    let mark = format!("<i class=\"dash{dash}\" style=\"background:var(--c{hue})\"></i>");
    format!("<span class=\"key\">{mark}{}</span>", escape(name))
}

/// Something that is there for who opens it.
pub(super) fn fold(summary: &str, content: &str) -> String {
    format!(
        "<details><summary>{}</summary>\n<div class=\"scroll\">{content}</div></details>\n",
        escape(summary)
    )
}
