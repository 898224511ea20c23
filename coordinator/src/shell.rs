//! Paths in commands that the user is told to give.

use std::path::Path;

/// The path as a word of a shell's command: in quotes where it needs them.
pub fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+:@%,".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_shell_would_read_otherwise_is_in_quotes() {
        for (path, due) in [
            ("deploy/own-1.x", "deploy/own-1.x"),
            ("a b", "'a b'"),
            ("$HOME/q", "'$HOME/q'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(word(Path::new(path)), due);
        }
    }
}
