//! The paths `a::b::c` in a source. The paths in the braces of a `use` are separate paths.

/// A path, and the line of its last name.
#[derive(Debug, PartialEq)]
pub struct Path {
    /// The names, from left to right.
    pub names: Vec<String>,
    /// The line's number, from 1.
    pub line: usize,
}

/// A piece of code.
#[derive(Debug, PartialEq)]
enum Token {
    Name(String),
    Colons,
    Sign(char),
}

/// All paths of two or more names in `code`, which has no comments and texts.
pub fn paths(code: &str) -> Vec<Path> {
    let tokens = tokens(code);
    let mut reader = Reader { tokens: &tokens, at: 0, found: Vec::new() };
    while reader.at < tokens.len() {
        match (reader.sees(0), reader.sees(1)) {
            (Some(Token::Name(_)), Some(Token::Colons)) => reader.tree(Vec::new()),
            _ => reader.at += 1,
        }
    }
    reader.found
}

fn tokens(code: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(rest.len());
        let length = match first {
            _ if name > 0 => {
                tokens.push((Token::Name(rest[..name].into()), line));
                name
            }
            ':' if rest.starts_with("::") => {
                tokens.push((Token::Colons, line));
                2
            }
            '\n' => {
                line += 1;
                1
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push((Token::Sign(first), line));
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    found: Vec<Path>,
}

impl Reader<'_> {
    fn sees(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    /// Reads the names of a path, or of a branch of a path that begins with `names`.
    fn tree(&mut self, mut names: Vec<String>) {
        let mut line = self.tokens.get(self.at).map_or(0, |&(_, line)| line);
        while let Some((Token::Name(name), at)) = self.tokens.get(self.at) {
            names.push(name.clone());
            line = *at;
            self.at += 1;
            if self.sees(0) != Some(&Token::Colons) {
                break;
            }
            self.at += 1;
        }
        if self.sees(0) == Some(&Token::Sign('{'))
            && self.at > 0
            && self.tokens[self.at - 1].0 == Token::Colons
        {
            self.branches(&names);
        } else {
            self.found.push(Path { names, line });
        }
    }

    /// Reads `{…}`.
    fn branches(&mut self, names: &[String]) {
        self.at += 1;
        loop {
            match self.sees(0) {
                Some(Token::Sign('}')) | None => break self.at += 1,
                Some(Token::Name(word)) if word == "as" => self.at += 2,
                Some(Token::Name(_)) => self.tree(names.to_vec()),
                Some(Token::Sign('*')) => {
                    self.found.push(Path { names: names.to_vec(), line: self.tokens[self.at].1 });
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: &[(&str, usize)]) {
        let found: Vec<_> = paths(code).iter().map(|path| (path.names.join("::"), path.line)).collect();
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
