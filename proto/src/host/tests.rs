use super::cgroup::{Version, groups};
use super::*;
use std::path::PathBuf;

const MEMINFO: &str = "MemTotal:       24684032 kB\nMemFree:  21422080 kB\nMemAvailable:   22658048 kB\n";
const MIB: u64 = 1 << 20;

/// The memory on a system with these files.
fn memory(files: &[(&str, &str)]) -> Option<Memory> {
    let text = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| (*text).to_owned())
    };
    Memory::of(&text)
}

#[test]
fn a_host_without_limits_gives_what_it_has() {
    let found = memory(&[("/proc/meminfo", MEMINFO)]).unwrap();
    assert_eq!((found.total, found.available), (24684032 << 10, 22658048 << 10));
    assert_eq!(found.bound, "the memory of this host");
    assert_eq!(memory(&[]), None);
}

#[test]
fn the_lowest_limit_of_all_groups_above_counts() {
    let files = [
        ("/proc/meminfo", MEMINFO),
        ("/proc/self/cgroup", "0::/user.slice/job.scope\n"),
        ("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"),
        ("/sys/fs/cgroup/user.slice/job.scope/memory.max", "max\n"),
        ("/sys/fs/cgroup/user.slice/job.scope/memory.high", "max\n"),
        ("/sys/fs/cgroup/user.slice/memory.max", "629145600\n"),
        ("/sys/fs/cgroup/user.slice/memory.high", "524288000\n"),
        ("/sys/fs/cgroup/user.slice/memory.current", "209715200\n"),
        ("/sys/fs/cgroup/user.slice/memory.stat", "anon 1\ninactive_file 73400320\nactive_file 31457280\n"),
    ];
    let found = memory(&files).unwrap();
    assert_eq!((found.total, found.available), (500 * MIB, 400 * MIB), "cached files can be dropped");
    assert_eq!(found.bound, "the limit of 500.0 MiB in /sys/fs/cgroup/user.slice/memory.high");
}

#[test]
fn the_first_version_has_a_tree_for_memory_alone() {
    let files = [
        ("/proc/meminfo", MEMINFO),
        ("/proc/self/cgroup", "5:devices:/\n4:cpu,memory:/a/b\n0::/\n"),
        (
            "/proc/self/mountinfo",
            "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        ),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "314572800\n"),
        ("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "104857600\n"),
        ("/sys/fs/cgroup/memory/a/memory.stat", "inactive_file 7\ntotal_inactive_file 52428800\n"),
    ];
    let found = memory(&files).unwrap();
    assert_eq!((found.total, found.available), (300 * MIB, 250 * MIB));
    assert_eq!(found.bound, "the limit of 300.0 MiB in /sys/fs/cgroup/memory/a/memory.limit_in_bytes");
}

#[test]
fn the_root_of_a_container_is_where_its_group_is_mounted() {
    let of = |memberships: &str, root: &str, point: &str| -> Vec<PathBuf> {
        let mounts = format!("30 23 0:26 {root} {point} rw - cgroup2 cgroup2 rw\n");
        groups(memberships, &mounts, "memory").into_iter().map(|(_, folder)| folder).collect()
    };
    let point = "/sys/fs/cgroup";
    let root = [PathBuf::from(point)];
    assert_eq!(of("0::/\n", "/", point), root);
    assert_eq!(of("0::/docker/7f\n", "/docker/7f", point), root, "without a namespace of groups");
    assert_eq!(of("0::/kube/pod\n", "/docker/7f", point), root, "a path that only the host knows");
    assert_eq!(of("0::/../../else\n", "/", point), root, "a group outside of the namespace");
    assert_eq!(of("0::/a:b\n", "/", "/mnt/c\\040d"), [PathBuf::from("/mnt/c d/a:b"), "/mnt/c d".into()]);
    assert!(of("4:memory:/\n", "/", point).is_empty(), "no tree of the version");
    let both = groups(
        "3:memory:/x\n0::/y\n",
        "1 1 0:1 / /c/memory rw - cgroup none rw,memory\n2 1 0:2 / /c/unified rw - cgroup2 none rw\n",
        "memory",
    );
    let folders = |version| both.iter().filter(|(found, _)| *found == version).count();
    assert_eq!((folders(Version::One), folders(Version::Two)), (2, 2));
}

#[test]
fn the_limits_of_the_process_count() {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max data size             unlimited            unlimited            bytes     \n\
                  Max address space         1073741824           unlimited            bytes     \n";
    let files = [
        ("/proc/meminfo", MEMINFO),
        ("/proc/self/limits", limits),
        ("/proc/self/status", "VmSize:\t  524288 kB\nVmData:\t  1024 kB\n"),
    ];
    let found = memory(&files).unwrap();
    assert_eq!((found.total, found.available), (1024 * MIB, 512 * MIB));
    assert_eq!(found.bound, "the limit of 1.0 GiB on the address space of this process (ulimit -v)");
}

#[test]
fn bytes_are_shown_in_the_unit_that_suits_them() {
    let shown = [0, 1023, 1024, 300_000_000, 5 << 30].map(|bytes| Bytes(bytes).to_string());
    assert_eq!(shown, ["0 bytes", "1023 bytes", "1.0 KiB", "286.1 MiB", "5.0 GiB"]);
}
