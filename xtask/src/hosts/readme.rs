//! `cargo xtask hosts readme`: the commands of the README's section on three hosts, run as they are written, from an
//! empty folder on each host. Only the names a, b and c become addresses.

use super::network::{Host, Network};
use super::programs::Program;
use super::{CONTROL, Scene};
use crate::dist;
use crate::release::Profile;
use crate::run::{Failure, Root, say};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The title of the section.
const SECTION: &str = "## Three hosts, by hand\n";
/// The hosts of the stages, in their order, as the section calls them and as they are called here: to `ip`, a letter is
/// short for a word.
const HOSTS: [(&str, &str); 3] = [("a", "stage0"), ("b", "stage1"), ("c", "stage2")];
/// The host of the coordinator.
const COORDINATOR: &str = "coordinator";
/// The stage whose files the section names.
const EXAMPLE: &str = "stage-1";
/// What lies in a clone after the demo, and is used by the section.
const CLONE: [&str; 3] = ["target", "examples", "data"];
/// How long the commands of the coordinator may take: they train the whole demo.
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs the commands of the section.
pub fn readme(root: &Root) -> Result<(), Failure> {
    let scene = Scene::new(root, Profile::Release)?;
    // The section's second block copies what this command packs.
    dist::dist(root, Profile::Release, false)?;
    if !scene.is_isolated {
        return Err("`hosts readme` needs network namespaces: run it as root".to_string().into());
    }
    let [certificates, packing, node, coordinator] = commands(&root.read("README.md")?)?;
    let network = Network::make(&[COORDINATOR, HOSTS[0].1, HOSTS[1].1, HOSTS[2].1])?;
    let clone = scene.part(COORDINATOR)?;
    for name in CLONE {
        symlink(root.join(name), clone.join(name))
            .map_err(|error| cannot("link", &clone.join(name), &error))?;
    }
    let at = network.host(COORDINATOR);
    shell(at, &clone, "certificates", &certificates)?;
    shell(at, &clone, "packing", &packing)?;
    let mut nodes = Vec::new();
    for (stage, (_, name)) in HOSTS.iter().enumerate() {
        let folder = scene.part(name)?;
        carry(&clone, &folder, stage)?;
        let words = node.replace(EXAMPLE, &format!("stage-{stage}"));
        let mut program =
            start(network.host(name), &folder, "node", &format!("exec {}", words.trim_start()))?;
        program.wait_ready()?;
        nodes.push(program);
    }
    shell(at, &clone, "coordinator", &addressed(&network, &coordinator))?;
    nodes.iter_mut().try_for_each(Program::goes_on)?;
    drop(nodes);
    network.remove()?;
    scene.remove();
    Ok(())
}

/// The indented blocks of the section.
fn commands(text: &str) -> Result<[String; 4], Failure> {
    let section = text.split_once(SECTION).map(|(_, rest)| rest.split("\n## ").next().unwrap_or(rest));
    let section = section.ok_or_else(|| "the README has no section on three hosts".to_string())?;
    let mut blocks: Vec<String> = vec![String::new()];
    for line in section.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(command), Some(block)) => block.push_str(&format!("{command}\n")),
            (None, Some(block)) if !block.is_empty() => blocks.push(String::new()),
            (_, _) => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    let count = blocks.len();
    blocks.try_into().map_err(|_| {
        format!("the README's section on three hosts has {count} blocks of commands, not 4").into()
    })
}

/// The commands with the addresses of the hosts in place of their names.
fn addressed(network: &Network, commands: &str) -> String {
    HOSTS.iter().fold(commands.to_owned(), |commands, (name, host)| {
        let (from, to) = (format!("{name}:{CONTROL}"), format!("{}:{CONTROL}", network.host(host).address));
        commands
            .replace(&format!(" {from}"), &format!(" {to}"))
            .replace(&format!(",{from}"), &format!(",{to}"))
    })
}

/// Copies to a host what the section says that it gets: the programs, and the three files of its stage.
fn carry(clone: &Path, to: &Path, stage: usize) -> Result<(), Failure> {
    let folder = to.join("neuropil");
    symlink(clone.join("neuropil"), &folder).map_err(|error| cannot("link", &folder, &error))?;
    for name in ["ca.pem".into(), format!("stage-{stage}.pem"), format!("stage-{stage}-key.pem")] {
        let from = clone.join("certificates").join(&name);
        fs::copy(&from, to.join(&name)).map_err(|error| cannot("copy", &from, &error))?;
    }
    Ok(())
}

fn start(host: &Host, folder: &Path, name: &str, commands: &str) -> Result<Program, Failure> {
    let mut command: Command = host.command("sh");
    command.args(["-e", "-c", commands]).current_dir(folder);
    Program::start(&mut command, folder, name)
}

/// Runs commands to their end, and shows them and what they printed.
fn shell(host: &Host, folder: &Path, name: &str, commands: &str) -> Result<(), Failure> {
    say(&format!("on {}:\n{}", host.name, commands.trim_end()));
    let mut program = start(host, folder, name, commands)?;
    program.succeed(LIMIT)?;
    print!("{}", fs::read_to_string(&program.printed).unwrap_or_default());
    Ok(())
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    format!("cannot {what} {} ({error})", path.display()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_has_the_four_blocks_that_are_run() {
        let [certificates, packing, node, coordinator] =
            commands(include_str!("../../../README.md")).unwrap();
        assert!(certificates.contains("coordinator certificates --out certificates --stages 3"));
        assert_eq!(packing, "cp -r target/dist/neuropil-*-x86_64-linux neuropil\n");
        assert!(node.contains(EXAMPLE) && node.contains("layer-node serve"));
        assert!(coordinator.contains("a:7101,b:7101,c:7101") && coordinator.contains("locality"));
    }
}
