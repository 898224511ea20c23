//! What befalls wires, by tc, iptables and, for delays, a program in user space: the kernel may have no netem.

use crate::hosts::firewall::iptables;
use crate::hosts::network::{Host, Network, run};
use crate::hosts::programs::Program;
use crate::run::{Failure, Root};
use std::path::Path;
use std::time::Duration;

/// A switch's queue: what it holds for a host before it drops.
const QUEUE: &str = "1mb";
/// What tc lets through at once. Segments that the kernel has not cut yet pass whole.
const BURST: &str = "128kb";
/// The device that delays, and the routing table that leads to it.
const DELAY: &str = "delay";
const TABLE: &str = "100";

/// All hosts control congestion as most do, whatever this machine does.
pub fn ordinary(network: &Network) -> Result<(), Failure> {
    network.hosts().iter().try_for_each(|host| {
        let gateway = host.address.rsplit_once('.').map_or("", |(net, _)| net).to_owned() + ".1";
        let route = ["route", "replace", "default", "via", &gateway, "congctl", "cubic"];
        run(host.command("ip").args(route))
    })
}

/// Both directions of each host's link carry so many Mbit/s.
pub fn slow(network: &Network, mbit: u32) -> Result<(), Failure> {
    let rate = format!("{mbit}mbit");
    let qdisc = |device: &str| {
        let words =
            ["qdisc", "replace", "dev", device, "root", "tbf", "rate", &rate, "burst", BURST, "limit", QUEUE];
        words.map(str::to_owned)
    };
    network.hosts().iter().try_for_each(|host| {
        run(host.command("tc").args(qdisc("eth0")))?;
        run(network.on_router("tc").args(qdisc(&host.name)))
    })
}

/// Ends what [`slow`] began.
pub fn fast(network: &Network) -> Result<(), Failure> {
    network.hosts().iter().try_for_each(|host| {
        run(host.command("tc").args(["qdisc", "delete", "dev", "eth0", "root"]))?;
        run(network.on_router("tc").args(["qdisc", "delete", "dev", &host.name, "root"]))
    })
}

/// The router loses this share of all packets, each as short as on a wire.
pub fn lose(network: &Network, share: f64) -> Result<(), Failure> {
    segments(network, "1")?;
    let share = share.to_string();
    let random = ["-m", "statistic", "--mode", "random", "--probability", &share];
    iptables(network, &[&["--insert", "FORWARD"], &random[..], &["--jump", "DROP"]].concat())
}

/// Ends what [`lose`] and [`cut`] began.
pub fn mend(network: &Network) -> Result<(), Failure> {
    segments(network, "65535")?;
    iptables(network, &["--flush", "FORWARD"])
}

/// How many segments the kernel may leave uncut on their way.
fn segments(network: &Network, most: &str) -> Result<(), Failure> {
    let words = |device: &str| ["link", "set", device, "gso_max_segs", most].map(str::to_owned);
    network.hosts().iter().try_for_each(|host| {
        run(host.command("ip").args(words("eth0")))?;
        run(network.on_router("ip").args(words(&host.name)))
    })
}

/// Nothing passes between two hosts any more, and nobody tells them.
pub fn cut(network: &Network, one: &Host, other: &Host) -> Result<(), Failure> {
    [(one, other), (other, one)].into_iter().try_for_each(|(from, to)| {
        iptables(network, &["--insert", "FORWARD", "-s", &from.address, "-d", &to.address, "--jump", "DROP"])
    })
}

/// Pulls the plug of a host, or puts it in again: its device loses the carrier.
pub fn plug(network: &Network, host: &Host, state: &str) -> Result<(), Failure> {
    run(network.on_router("ip").args(["link", "set", &host.name, state]))
}

/// A delay of all packets between hosts, until the value is dropped.
pub struct Delay(#[expect(dead_code, reason = "the program ends when the value is dropped")] Program);

impl Delay {
    /// Every packet takes so long to its host.
    pub fn start(root: &Root, network: &Network, folder: &Path, milliseconds: u32) -> Result<Self, Failure> {
        let mut python = network.on_router("python3");
        python.arg(root.join("scripts/wire_delay.py")).args([DELAY, &milliseconds.to_string()]);
        let mut program = Program::start(&mut python, folder, DELAY)?;
        let printed = program.printed.clone();
        program.says(&printed, "ready", Duration::from_secs(10))?;
        let ip = |words: &[&str]| run(network.on_router("ip").args(words));
        ip(&["link", "set", DELAY, "txqueuelen", "10000", "up"])?;
        ip(&["route", "replace", "default", "dev", DELAY, "table", TABLE])?;
        // Rules of an earlier delay stay: without its device their table is empty.
        for host in network.hosts() {
            _ = ip(&["rule", "delete", "iif", &host.name, "lookup", TABLE]);
            ip(&["rule", "add", "iif", &host.name, "lookup", TABLE])?;
        }
        Ok(Self(program))
    }
}
