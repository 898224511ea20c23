//! Hosts of one machine: network namespaces, each with an address and one link to a router, which is a namespace as
//! well. Nothing of them touches the machine's own network.
//!
//! ```text
//! coordinator 10.11.0.2 ─┐              ┌─ stage1 10.11.2.2
//!                        ├─── router ───┤
//!      stage0 10.11.1.2 ─┘              └─ stage2 10.11.3.2
//! ```
//!
//! The router is where a firewall stands and where a capture looks, so that a host can change neither. Hosts know the
//! router's hardware address beforehand, and IPv6 is off: nothing but what programs send crosses a link.
//!
//! Where namespaces cannot be made, hosts are addresses of the machine's own loopback, with no router between them.

use super::janitor::Janitor;
use crate::run::{Failure, line, unstartable};
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A host: an address, in a namespace of its own.
pub struct Host {
    /// The name, which is also that of the router's end of the link.
    pub name: String,
    /// The IPv4 address.
    pub address: String,
    /// `None` on loopback.
    namespace: Option<String>,
}

impl Host {
    /// A program that will run on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            Some(namespace) => within(namespace, program),
            None => Command::new(program),
        }
    }
}

/// The hosts and their router. All of them go away when the value is dropped, and when this process ends in any other
/// way: with whatever runs on them.
pub struct Network {
    hosts: Vec<Host>,
    /// The router's namespace; empty on loopback.
    router: String,
    janitor: Option<Janitor>,
}

impl Network {
    /// Makes hosts of these names.
    pub fn make(names: &[&str]) -> Result<Self, Failure> {
        let prefix = format!("neuropil-{}", std::process::id());
        let router = format!("{prefix}-router");
        let namespaces: Vec<String> = names.iter().map(|name| format!("{prefix}-{name}")).collect();
        let janitor = Some(Janitor::start(namespaces.iter().chain([&router]))?);
        let hosts = names.iter().zip(&namespaces).enumerate().map(|(at, (name, namespace))| Host {
            name: (*name).into(),
            address: format!("10.11.{at}.2"),
            namespace: Some(namespace.clone()),
        });
        let network = Self { hosts: hosts.collect(), router, janitor };
        quiet(&network.router)?;
        run(network.on_router("sh").args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))?;
        for (at, namespace) in namespaces.iter().enumerate() {
            network.connect(at, namespace)?;
        }
        Ok(network)
    }

    /// Hosts of these names on loopback, where there is nothing to make and nothing to remove.
    pub fn loopback(names: &[&str]) -> Self {
        // Another process of this command has other addresses, as a rule.
        let own = 1 + std::process::id() % 250;
        let host = |(at, name): (usize, &&str)| Host {
            name: (*name).into(),
            address: format!("127.{own}.{at}.2"),
            namespace: None,
        };
        Self { hosts: names.iter().enumerate().map(host).collect(), router: String::new(), janitor: None }
    }

    /// The link of the host with this number: its hardware addresses say the number.
    fn connect(&self, at: usize, namespace: &str) -> Result<(), Failure> {
        quiet(namespace)?;
        let Host { name, address, .. } = &self.hosts[at];
        let (inside, outside) = (format!("02:00:00:00:{at:02x}:02"), format!("02:00:00:00:{at:02x}:01"));
        let gateway = format!("10.11.{at}.1");
        let link =
            format!("link add name {name} address {outside} type veth peer name eth0 address {inside}");
        ip(&self.router, &format!("{link} netns {namespace}"))?;
        ip(&self.router, &format!("address add {gateway}/24 dev {name}"))?;
        ip(&self.router, &format!("link set {name} up"))?;
        ip(&self.router, &format!("neighbour add {address} lladdr {inside} dev {name}"))?;
        ip(namespace, &format!("address add {address}/24 dev eth0"))?;
        ip(namespace, "link set eth0 up")?;
        ip(namespace, &format!("neighbour add {gateway} lladdr {outside} dev eth0"))?;
        ip(namespace, &format!("route add default via {gateway}"))
    }

    /// The host of this name. The names are this program's own.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).expect("a host of this network")
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// A program that will run on the router.
    pub fn on_router(&self, program: impl AsRef<OsStr>) -> Command {
        within(&self.router, program)
    }

    /// Ends everything that runs on the hosts, and removes them.
    pub fn remove(self) -> Result<(), Failure> {
        self.janitor.map_or(Ok(()), Janitor::finish)
    }
}

/// Makes a namespace in which IPv6 is off and loopback works.
fn quiet(namespace: &str) -> Result<(), Failure> {
    run(Command::new("ip").args(["netns", "add", namespace]))?;
    let off = "for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done";
    // Where the kernel has no IPv6, there is nothing to turn off.
    run(within(namespace, "sh").args(["-c", &format!("test ! -d /proc/sys/net/ipv6 || {off}")]))?;
    ip(namespace, "link set lo up")
}

fn within(namespace: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

fn ip(namespace: &str, words: &str) -> Result<(), Failure> {
    run(Command::new("ip").args(["-n", namespace]).args(words.split(' ')))
}

/// Runs a small tool to its end and returns what it printed; the failure holds what it complained of.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| unstartable(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or("it said nothing");
    Err(format!("`{}` failed: {last}", line(command)).into())
}

/// As [`output`], for a tool that prints nothing.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    output(command).map(drop)
}
