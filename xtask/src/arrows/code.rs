//! A Rust source without its comments, quoted texts and tests. Lines keep their numbers.

/// `text` with comments and quoted texts blanked.
pub fn code(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '"' => quoted(rest),
            'r' => raw_text(rest).unwrap_or(0),
            '\'' => character(rest).unwrap_or(0),
            _ => 0,
        };
        match length {
            0 => code.push(first),
            _ => blank(&rest[..length], &mut code),
        }
        rest = &rest[length.max(first.len_utf8())..];
    }
    code
}

/// Pushes as many lines as `text` has.
fn blank(text: &str, onto: &mut String) {
    onto.extend(text.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
}

/// The length of `"…"`.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#` and their like.
fn raw_text(text: &str) -> Option<usize> {
    let inside = text[1..].trim_start_matches('#').strip_prefix('"')?;
    let start = text.len() - inside.len();
    let end = format!("\"{}", "#".repeat(start - 2));
    Some(inside.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// The length of a character in quotes; a lifetime has only one.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    match letters.next()? {
        (_, '\\') => text[3..].find('\'').map(|at| 3 + at + 1),
        _ => letters.next().filter(|&(_, letter)| letter == '\'').map(|(at, _)| at + 1),
    }
}

/// `code` with its tests blanked, and the names of the modules that hold tests in files of their own.
pub fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut pieces = code.split("#[cfg(test)]");
    let mut kept = pieces.next().unwrap_or_default().to_string();
    let mut modules = Vec::new();
    for piece in pieces {
        let (item, rest) = piece.split_at(item(piece));
        let words: Vec<_> = item.trim_end_matches(';').split_whitespace().collect();
        if let [.., "mod", name] = words[..] {
            modules.push(name.to_string());
        }
        blank(item, &mut kept);
        kept.push_str(rest);
    }
    (kept, modules)
}

/// The length of an item: up to its semicolon, or to the end of its braces.
fn item(code: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in code.char_indices() {
        depth += i32::from("([{".contains(letter)) - i32::from(")]}".contains(letter));
        if depth == 0 && matches!(letter, ';' | '}') {
            return at + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_go_and_lines_stay() {
        let words = |text: &str| code(text).split_whitespace().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(words("a // crate::b\nc"), ["a", "c"]);
        assert_eq!(words("a /* b // c */ d"), ["a", "d"]);
        assert_eq!(words(r##"a "b \" c" r"d\" e r#"f"g"# bar"##), ["a", "e", "bar"]);
        assert_eq!(words("a '\"' b '\\'' c '\\u{7f}' <'d> 'e'"), ["a", "b", "c", "<'d>"]);
        assert_eq!(code("a /*\n*/ \"\n\" é b").matches('\n').count(), 2);
    }

    #[test]
    fn tests_go_and_their_files_are_named() {
        let text = "use a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub mod b { fn c() { [0; 3]; } }\nuse d;";
        let (kept, modules) = without_tests(text);
        assert_eq!(kept.split_whitespace().collect::<Vec<_>>(), ["use", "a;", "use", "d;"]);
        assert_eq!(modules, ["tests"]);
        assert_eq!(kept.matches('\n').count(), text.matches('\n').count());
    }
}
