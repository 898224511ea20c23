//! The paths in a source, `a::b::c`, those in the braces of a `use` one by one.

use std::mem::take;

/// All paths of two or more names in `code`, which has no comments and texts, each with the line of its last name.
pub fn paths(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let (mut path, mut path_line) = (String::new(), 0);
    // What each open brace puts before the paths in it: nothing, but in a `use`.
    let mut before = vec![String::new()];
    let mut last = "";
    for (word, line) in words(code).chain([(";", 0)]) {
        let inside = before.last().cloned().unwrap_or_default();
        let goes_on = word == "::" || path.ends_with("::") && (word == "{" || is_name(word));
        if !goes_on {
            let whole = take(&mut path);
            if whole.contains("::") {
                found.push((whole.trim_end_matches("::").to_string(), path_line));
            }
        }
        match word {
            "::" if !path.is_empty() => path.push_str(word),
            "{" => before.push(take(&mut path)),
            "}" => _ = before.pop(),
            "*" if last != "::" => (path, path_line) = (inside, line),
            "as" => {}
            _ if is_name(word) => {
                if path.is_empty() && last != "as" {
                    path = inside;
                }
                path.push_str(word);
                path_line = line;
            }
            _ => {}
        }
        last = word;
    }
    found
}

/// The names, pairs of colons and other signs of a source, with their lines.
fn words(code: &str) -> impl Iterator<Item = (&str, usize)> {
    code.lines().zip(1..).flat_map(|(text, line)| {
        let mut rest = text;
        std::iter::from_fn(move || {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let length = match rest.find(|letter| !of_name(letter)).unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            let (word, after) = rest.split_at(length);
            rest = after;
            Some((word, line))
        })
    })
}

fn is_name(word: &str) -> bool {
    word.starts_with(of_name)
}

fn of_name(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: &[(&str, usize)]) {
        let found = paths(code);
        let expected: Vec<_> = expected.iter().map(|&(path, line)| (path.to_string(), line)).collect();
        assert_eq!(found, expected, "{code}");
    }

    #[test]
    fn paths_are_read_one_by_one() {
        check("use crate::a::B;", &[("crate::a::B", 1)]);
        check("pub(crate) fn f(x: super::super::T) -> Vec<u8> {}", &[("super::super::T", 1)]);
        check("use super::*;", &[("super", 1)]);
        check("crate::a::<crate::B>::c()", &[("crate::a", 1), ("crate::B", 1)]);
        check(
            "use crate::{\n a as c, b::{self, *},\n d::E as _,\n};\nx::y!()",
            &[("crate::a", 2), ("crate::b::self", 2), ("crate::b", 2), ("crate::d::E", 3), ("x::y", 5)],
        );
    }
}
