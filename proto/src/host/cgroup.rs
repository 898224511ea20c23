//! The control groups of this process, in both versions, and their limits on memory. A group's limit also binds all
//! groups below it, so every group from that of the process up to the mounted root counts.

use super::{Bound, Texts};
use std::path::{Path, PathBuf};

/// A version of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// One tree for each controller.
    One,
    /// One tree for all controllers.
    Two,
}

/// The bounds that the control groups of this process set.
pub(super) fn bounds(texts: Texts<'_>) -> Vec<Bound> {
    let groups = of_process(texts, "memory");
    groups.into_iter().filter_map(|(version, folder)| bound(version, &folder, texts)).collect()
}

/// The folders of the groups that this process belongs to and whose `controller` may limit it, the innermost first.
pub(crate) fn of_process(texts: Texts<'_>, controller: &str) -> Vec<(Version, PathBuf)> {
    let text = |path: &str| texts(Path::new(path)).unwrap_or_default();
    groups(&text("/proc/self/cgroup"), &text("/proc/self/mountinfo"), controller)
}

pub(super) fn groups(memberships: &str, mounts: &str, controller: &str) -> Vec<(Version, PathBuf)> {
    let mounts: Vec<Mount<'_>> = mounts.lines().filter_map(|line| Mount::parse(line, controller)).collect();
    let of_version = |version| {
        let path = member(memberships, version, controller)?;
        let mut mounted = mounts.iter().filter(|mount| mount.version == version);
        // A container may see its own group as the root of the mount, and a path of the host in /proc/self/cgroup.
        let below = { mounted.clone() }.find_map(|mount| Some((mount, mount.below(path)?)));
        let (mount, below) = below.or_else(|| Some((mounted.next()?, Path::new(""))))?;
        let root = PathBuf::from(unescaped(mount.point));
        let whole = root.join(below);
        let chain: Vec<_> =
            whole.ancestors().take_while(|folder| folder.starts_with(&root)).map(Path::to_owned).collect();
        Some(chain.into_iter().map(move |folder| (version, folder)))
    };
    [Version::Two, Version::One].into_iter().filter_map(of_version).flatten().collect()
}

/// The path of this process's group, relative to the root of all groups.
fn member<'a>(memberships: &'a str, version: Version, controller: &str) -> Option<&'a str> {
    memberships.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let this = match version {
            Version::One => controllers.split(',').any(|found| found == controller),
            Version::Two => controllers.is_empty(),
        };
        this.then_some(path)
    })
}

/// A mounted tree of groups with a controller.
struct Mount<'a> {
    version: Version,
    /// The group that is the root of the mount.
    root: &'a str,
    /// The folder where it is mounted.
    point: &'a str,
}

impl<'a> Mount<'a> {
    /// A line of `/proc/self/mountinfo`; `None` for any other mount.
    fn parse(line: &'a str, controller: &str) -> Option<Self> {
        let (place, source) = line.split_once(" - ")?;
        let (mut place, mut source) = (place.split(' ').skip(3), source.split(' '));
        let (root, point) = (place.next()?, place.next()?);
        let (kind, options) = (source.next()?, source.nth(1)?);
        let version = match kind {
            "cgroup2" => Version::Two,
            "cgroup" if options.split(',').any(|option| option == controller) => Version::One,
            _ => return None,
        };
        Some(Self { version, root, point })
    }

    /// The group `path`, relative to this mount's root; `None` for a group outside of the mount.
    fn below<'p>(&self, path: &'p str) -> Option<&'p Path> {
        let below = Path::new(path).strip_prefix(self.root).ok()?;
        below.components().all(|part| matches!(part, std::path::Component::Normal(_))).then_some(below)
    }
}

/// A path of `mountinfo`, which writes white space and backslashes as octal numbers.
fn unescaped(path: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.into_iter().fold(path.to_owned(), |path, (code, sign)| path.replace(code, sign))
}

/// The bound of one group; `None` where it sets no limit.
fn bound(version: Version, folder: &Path, texts: Texts<'_>) -> Option<Bound> {
    let text = |name: &str| texts(&folder.join(name));
    let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
    let (limits, used, cached): (&[&str], _, _) = match version {
        Version::One => {
            let cached = ["total_inactive_file ", "total_active_file "];
            (&["memory.limit_in_bytes"], "memory.usage_in_bytes", cached)
        }
        // Above memory.high a group is slowed down until it hardly moves, so that counts as a limit as well.
        Version::Two => {
            (&["memory.max", "memory.high"], "memory.current", ["inactive_file ", "active_file "])
        }
    };
    let (limit, name) = limits.iter().filter_map(|name| Some((number(name)?, name))).min()?;
    let stat = text("memory.stat").unwrap_or_default();
    let of_stat = |key: &str| {
        stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let cached = cached.into_iter().map(of_stat).sum();
    let taken = number(used).unwrap_or(0).saturating_sub(cached);
    Some(Bound::limit(limit, taken, format_args!("in {}", folder.join(name).display())))
}
