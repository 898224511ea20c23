//! Ranges in the names of shards: `train-{000000..000146}.tar` is 147 names, and `{a,b}-0.tar` is two.

/// The most names of one pattern.
const MOST: usize = 100_000;

/// The names that `pattern` stands for, in order. If it has several braces, the last varies fastest, as in a shell.
///
/// # Errors
/// A phrase that follows the pattern: a brace without its partner, a range that is none or runs backwards, or too
/// many names.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((plain, braced)) = rest.split_once('{') {
        let Some((inside, after)) = braced.split_once('}') else {
            return Err("has a { without its }".into());
        };
        let words = alternatives(inside)?;
        if names.len().saturating_mul(words.len()) > MOST {
            return Err(format!("stands for more than {MOST} shards"));
        }
        closed(plain)?;
        let with =
            |name: &String| words.iter().map(|word| format!("{name}{plain}{word}")).collect::<Vec<_>>();
        names = names.iter().flat_map(with).collect();
        rest = after;
    }
    closed(rest)?;
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// Refuses a closing brace without an opening one.
fn closed(plain: &str) -> Result<(), String> {
    if plain.contains('}') { Err("has a } without its {".into()) } else { Ok(()) }
}

/// The words that the text between two braces stands for.
fn alternatives(inside: &str) -> Result<Vec<String>, String> {
    if inside.contains('{') {
        return Err("has a brace within braces".into());
    }
    let Some((first, last)) = inside.split_once("..") else {
        return match inside.contains(',') {
            true => Ok(inside.split(',').map(str::to_owned).collect()),
            false => {
                Err(format!("has {{{inside}}}, which is neither a range such as {{000..146}} nor a list"))
            }
        };
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (Some(from), Some(to)) = (number(first), number(last)) else {
        return Err(format!("has the range {{{inside}}}, whose ends are not whole numbers"));
    };
    if from > to {
        return Err(format!("has the range {{{inside}}}, which runs backwards"));
    }
    if to - from >= MOST as u64 {
        return Err(format!("stands for more than {MOST} shards"));
    }
    // As in a shell, a leading zero at either end gives all numbers the width of the longer end.
    let padded = [first, last].iter().any(|text| text.len() > 1 && text.starts_with('0'));
    let width = if padded { first.len().max(last.len()) } else { 0 };
    if width > 20 {
        return Err(format!("has the range {{{inside}}}, whose ends have more than 20 digits"));
    }
    Ok((from..=to).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_a_shell_makes_of_it() {
        for (pattern, names) in [
            ("a.tar", "a.tar"),
            ("a-{08..11}.tar", "a-08.tar a-09.tar a-10.tar a-11.tar"),
            ("a-{8..11}.tar", "a-8.tar a-9.tar a-10.tar a-11.tar"),
            ("a-{0..1}.tar", "a-0.tar a-1.tar"),
            ("{x,y}/{000..001}.tar", "x/000.tar x/001.tar y/000.tar y/001.tar"),
            ("{5..5}{,b}", "5 5b"),
        ] {
            assert_eq!(expand(pattern).unwrap().join(" "), names, "{pattern}");
        }
        let many = expand("imagenet-{000000..000146}.tar").unwrap();
        assert_eq!((many.len(), &*many[146]), (147, "imagenet-000146.tar"));
    }

    #[test]
    fn a_pattern_that_is_none_is_told_its_fault() {
        for (pattern, says) in [
            ("a-{0..9.tar", "{ without its }"),
            ("a-0..9}.tar", "} without its {"),
            ("a}-{0..9}.tar", "} without its {"),
            ("a-{0..{9}}.tar", "a brace within braces"),
            ("a-{}.tar", "neither a range"),
            ("a-{7}.tar", "neither a range"),
            ("a-{9..0}.tar", "runs backwards"),
            ("a-{a..b}.tar", "not whole numbers"),
            ("a-{-1..3}.tar", "not whole numbers"),
            ("a-{0..18446744073709551616}.tar", "not whole numbers"),
            ("a-{0..18446744073709551615}.tar", "more than 100000 shards"),
            ("{0..999}{0..999}.tar", "more than 100000 shards"),
            ("{0..000000000000000000000000000001}.tar", "more than 20 digits"),
        ] {
            let error = expand(pattern).unwrap_err();
            assert!(error.contains(says), "{pattern} {error}");
        }
    }
}
