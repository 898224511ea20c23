//! The hosts that certificates name beside the identity. Neuropil reads none of these names: they are there for tools
//! that expect a host's name in its certificate.

use proto::link::Role;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The most bytes of a DNS name, and of each label of it.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host, by its address or its DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name.
    Name(String),
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Host::Address(address));
        }
        let label = |label: &str| {
            let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            inner
                && (1..=MAX_LABEL).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        // No top-level domain is a number, so such a name is a slip in an address.
        let last_is_number = text.rsplit('.').next().is_some_and(number);
        if text.len() <= MAX_NAME && text.split('.').all(label) && !last_is_number {
            return Ok(Host::Name(text.to_ascii_lowercase()));
        }
        Err("a host is a DNS name or an IP address, without a port".into())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// A host that every node's certificate names, or only that of one node: `NAME`, or `K=NAME` for stage K and
/// `K-backward=NAME` for its backward node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOf {
    /// The node; `None` for all nodes.
    pub node: Option<Role>,
    /// The host.
    pub host: Host,
}

impl FromStr for HostOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((node, host)) = text.split_once('=') else {
            return Ok(Self { node: None, host: text.parse()? });
        };
        let role = match node.strip_suffix("-backward") {
            Some(stage) => stage.parse().map(Role::Backward),
            None => node.parse().map(Role::Stage),
        };
        let role = role.map_err(|_| {
            format!("before '=' comes a stage's number, or K-backward for the backward node of stage K, not '{node}'")
        })?;
        Ok(Self { node: Some(role), host: host.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_may_belong_to_one_node() {
        for (text, node, host) in [
            ("gpu-1.lab.example", None, "gpu-1.lab.example"),
            ("GPU", None, "gpu"),
            ("3=10.0.0.7", Some(Role::Stage(3)), "10.0.0.7"),
            ("0=fe80::1", Some(Role::Stage(0)), "fe80::1"),
            ("3-backward=10.0.0.8", Some(Role::Backward(3)), "10.0.0.8"),
            ("3-backward", None, "3-backward"),
            ("node_0", None, "node_0"),
        ] {
            let found: HostOf = text.parse().unwrap();
            assert_eq!((found.node, found.host.to_string().as_str()), (node, host), "{text}");
        }
        let long = "a.".repeat(127) + "a";
        let strange = ["", "a b", "a:7101", "10.0.0.300", "10.0.0", "-a", "a-", "a..b", "a.", "*.a", &long];
        for text in [&strange[..], &["x=a", "1=", "backward=a", "1-forward=a", "-backward=a"]].concat() {
            assert!(text.parse::<HostOf>().is_err(), "{text}");
        }
    }
}
