//! What an image sets for its containers, read from the Dockerfile: so much of the format as `deploy/Dockerfile` uses.

use std::collections::BTreeMap;

/// What a stage of a Dockerfile, and those that it is made from, set for a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub environment: BTreeMap<String, String>,
    pub user: String,
    pub folder: String,
}

/// The settings of the stage with this name; `None` where there is no such stage.
pub fn settings(text: &str, stage: &str) -> Option<Settings> {
    let mut stages: BTreeMap<&str, Settings> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
        if instruction == "FROM" {
            let (from, name) = rest.split_once(" AS ")?;
            let inherited = stages.get(from).cloned().unwrap_or_default();
            stages.insert(name, inherited);
            current = name;
            continue;
        }
        let Some(settings) = stages.get_mut(current) else { continue };
        match instruction {
            "ENV" => {
                let (name, value) = rest.split_once('=')?;
                settings.environment.insert(name.into(), value.into());
            }
            "USER" => settings.user = rest.into(),
            "WORKDIR" => settings.folder = rest.into(),
            _ => {}
        }
    }
    stages.remove(stage)
}

#[cfg(test)]
mod tests {
    use super::settings;

    const FILE: &str = include_str!("../../../deploy/Dockerfile");
    const COMPOSE: &str = include_str!("../../../deploy/compose.yaml");

    #[test]
    fn the_demo_has_what_the_stages_below_it_set() {
        let demo = settings(FILE, "demo").unwrap();
        assert_eq!((demo.user.as_str(), demo.folder.as_str()), ("65532:65532", "/var/lib/neuropil"));
        assert!(demo.environment["PATH"].starts_with("/opt/neuropil/bin:"), "{demo:?}");
        assert_eq!(demo.environment["NEUROPIL_DATA"], "/usr/share/neuropil/data");
        assert!(!settings(FILE, "cpu").unwrap().environment.contains_key("NEUROPIL_DATA"));
        assert_eq!(settings(FILE, "gpu"), None);
    }

    #[test]
    fn the_images_have_the_release_of_the_workspace() {
        let version = FILE.lines().find_map(|line| line.strip_prefix("ARG VERSION="));
        assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn compose_takes_the_image_that_the_dockerfile_says_how_to_build() {
        assert!(COMPOSE.contains("${NEUROPIL_IMAGE:-neuropil:demo}"));
        assert!(FILE.contains("-t neuropil:demo . "), "the command at the head of the file");
    }
}
