//! The names that a user gives, checked against the rules of Kubernetes. None of them needs more quotes in YAML than
//! the templates have.

use super::VERSION;
use std::fmt;
use std::str::FromStr;

/// The most bytes of a DNS label.
pub(super) const MAX_LABEL: usize = 63;
/// The most bytes of a DNS name.
const MAX_NAME: usize = 253;
/// The most bytes of an image's reference.
const MAX_IMAGE: usize = 1024;

/// The name of a run: a DNS label, such as `demo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName(String);

/// The name of a PersistentVolumeClaim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimName(String);

/// The name of a LocalQueue of Kueue, which stands in a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName(String);

/// The reference of an image, such as `registry.example/neuropil:0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(String);

impl RunName {
    /// A name made of the first `most` bytes of `stem`, in which a hyphen replaces every character that a label does
    /// not allow.
    pub fn of(stem: &str, most: usize) -> Self {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let lower = stem.to_lowercase();
        let text: String = lower.chars().map(|c| if fits(c) { c } else { '-' }).collect();
        let text = text.trim_matches('-');
        let text = text[..text.len().min(most)].trim_end_matches('-');
        // Not every kind of object allows a name that begins with a digit.
        match text.starts_with(|c: char| c.is_ascii_lowercase()) {
            true => Self(text.into()),
            false => {
                let text: String = format!("run-{text}").chars().take(most).collect();
                Self(text.trim_end_matches('-').into())
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "a run's name is a DNS label: a lower-case letter, then at most {} lower-case letters, digits or \
                 hyphens, and no hyphen at the end",
                MAX_LABEL - 1
            )),
        }
    }
}

impl FromStr for ClaimName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.len() <= MAX_NAME && text.split('.').all(is_label) {
            true => Ok(Self(text.into())),
            false => Err("give the name of a PersistentVolumeClaim, in lower case".into()),
        }
    }
}

impl FromStr for QueueName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match is_label(text) {
            true => Ok(Self(text.into())),
            false => Err("give the name of a LocalQueue, in lower case".into()),
        }
    }
}

impl FromStr for Image {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let ends = text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        // A reference's path is in lower case; a host, a tag and a digest need not be.
        match text.len() <= MAX_IMAGE && begins && ends && text.bytes().all(allowed) {
            true => Ok(Self(text.into())),
            false => Err("give an image as HOST/PATH:TAG or HOST/PATH@DIGEST".into()),
        }
    }
}

impl Default for Image {
    /// The image of this release.
    fn default() -> Self {
        Self(format!("neuropil:{VERSION}"))
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` is a DNS label in lower case.
fn is_label(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    inner && (1..=MAX_LABEL).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        let longest = "a".repeat(MAX_LABEL);
        for good in ["demo", "a", "resnet-18", &longest] {
            assert_eq!(good.parse::<RunName>().unwrap().as_str(), good);
        }
        for bad in ["", "Demo", "a_b", "-a", "a-", "a.b", "1st", "a b", &format!("{longest}a")] {
            assert!(bad.parse::<RunName>().unwrap_err().contains("DNS label"), "{bad}");
        }
        for (claim, good) in [("imagenet", true), ("a.b-c", true), ("1", true), ("A", false), ("a..b", false)]
        {
            assert_eq!(claim.parse::<ClaimName>().is_ok(), good, "{claim}");
        }
        let image = "registry.example:5000/lab/neuropil:0.1.0-cuda";
        for (image, good) in
            [(image, true), ("neuropil@sha256:0a", true), ("a b", false), ("a:", false), ("", false)]
        {
            assert_eq!(image.parse::<Image>().is_ok(), good, "{image}");
        }
    }

    #[test]
    fn a_name_is_made_of_any_file_name() {
        for (stem, name) in [
            ("fashion", "fashion"),
            ("ImageNet_GPU.v2", "imagenet-gpu-v2"),
            ("2024-trial", "run-2024-trial"),
            ("__", "run"),
            ("ähre", "hre"),
            ("a-very-long-name", "a-very-lon"),
            ("a-veryyyy-long", "a-veryyyy"),
            ("12345-78", "run-12345"),
        ] {
            let made = RunName::of(stem, 10.max(name.len()));
            assert_eq!(made.as_str(), name);
            assert_eq!(made.as_str().parse(), Ok(made.clone()), "{stem}");
        }
    }
}
