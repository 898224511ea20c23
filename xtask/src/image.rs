//! `cargo xtask image`: the root file system of the demo's image, made without Docker, and the programs in it, run as a
//! cluster runs them: as PID 1 of another user, without a HOME, where nothing but the folder for state can be written.

mod container;
mod dockerfile;

use crate::prerequisites;
use crate::release::Profile;
use crate::run::{Failure, Root, ending, say, step, succeeds};
use crate::{dataset, dist};
use container::Image;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a program may take that only answers.
const SHORT: Duration = Duration::from_secs(60);
/// How long a short training may take.
const LONG: Duration = Duration::from_secs(600);
/// How long a program may take from SIGTERM to its end: less than a cluster's default grace period.
const GRACE: Duration = Duration::from_secs(20);
/// The exit code after SIGTERM.
const TERMINATED: i32 = 143;

/// Packs the programs of the tests, makes the root file system, and runs the programs in it.
pub fn image(root: &Root) -> Result<(), Failure> {
    root.script("scripts/notices_tests.py")?;
    let packed = dist::dist(root, Profile::Tests, false)?;
    let place = packed.ancestors().nth(2).unwrap_or(&packed).join("image");
    let made = place.join("root");
    let mut script = root.command("deploy/image-root.sh");
    step(script.arg(&packed).arg(&made).arg(dataset::or_noise(root, place.join("noise"))?))?;
    if !can_start_containers() {
        say(
            "no containers can be started here (that takes root and `unshare`): the programs were not run in the image",
        );
        return Ok(());
    }
    let text = root.read("deploy/Dockerfile")?;
    let settings =
        dockerfile::settings(&text, "demo").ok_or_else(|| "deploy/Dockerfile has no demo".to_string())?;
    let image = Image { root: made, settings };
    let logs = fresh(&place.join("logs"), 0o755)?;
    versions(&image, &logs)?;
    node(&image, &fresh(&place.join("node"), 0o1777)?, &logs)?;
    training(&image, &fresh(&place.join("training"), 0o1777)?, &logs)?;
    say("both programs run in the image: as PID 1 of another user, read-only, without HOME");
    Ok(())
}

fn can_start_containers() -> bool {
    prerequisites::is_root() && succeeds(Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]))
}

/// Makes a folder anew, with these permissions.
fn fresh(folder: &Path, mode: u32) -> Result<PathBuf, Failure> {
    _ = fs::remove_dir_all(folder);
    let made = fs::create_dir_all(folder)
        .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(mode)));
    made.map_err(|error| Failure::from(format!("cannot make {}: {error}", folder.display())))?;
    Ok(folder.into())
}

/// Both programs start where nothing at all can be written.
fn versions(image: &Image, logs: &Path) -> Result<(), Failure> {
    for program in ["coordinator", "layer-node"] {
        say(&format!("in the image: {program} --version"));
        image.start(&[program, "--version"], None, logs, program)?.succeed(SHORT)?;
    }
    Ok(())
}

/// A node answers on its health port, and SIGTERM ends it.
fn node(image: &Image, state: &Path, logs: &Path) -> Result<(), Failure> {
    let any = "127.0.0.1:0";
    let words = ["layer-node", "serve", "--listen", any, "--control", any, "--health", any];
    let words = [&words[..], &["--state-dir", "/var/lib/neuropil/state"]].concat();
    say(&format!("in the image: {}", words.join(" ")));
    let mut node = image.start(&words, Some(state), logs, "node")?;
    node.program.wait_ready()?;
    let printed = node.printed()?;
    let address = printed.split("\"health\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let address = address.ok_or_else(|| format!("the node names no health port: {printed}"))?;
    image.start(&["layer-node", "health", "--health", address], None, logs, "health")?.succeed(SHORT)?;
    let status = node.stop(GRACE)?;
    if status.code() == Some(TERMINATED) {
        return Ok(());
    }
    Err(format!("the node in the image {} after SIGTERM, where 143 is due", ending(status)).into())
}

/// The coordinator trains on the image's data, with nodes that it starts there.
fn training(image: &Image, state: &Path, logs: &Path) -> Result<(), Failure> {
    let words = "coordinator train --config /usr/share/neuropil/examples/fashion.toml --local --name image \
                 --set train.max_steps=3 --set optimizer.warmup_epochs=0 --set pipeline.stages=2";
    say(&format!("in the image: {words}"));
    let words: Vec<&str> = words.split_whitespace().collect();
    image.start(&words, Some(state), logs, "training")?.succeed(LONG)?;
    let summary = state.join("runs/image/summary.json");
    if summary.exists() { Ok(()) } else { Err(format!("the training left no {}", summary.display()).into()) }
}
