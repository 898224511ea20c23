//! The hosts that certificates name beside the identity. Neuropil reads none of these names: they are there for tools
//! that expect a host's name in its certificate.

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

/// A host that every stage's certificate names, or only that of one stage: `NAME`, or `K=NAME` for stage K.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOf {
    /// The stage; `None` for all stages.
    pub stage: Option<u32>,
    /// The host.
    pub host: Host,
}

impl FromStr for HostOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((stage, host)) = text.split_once('=') else {
            return Ok(Self { stage: None, host: text.parse()? });
        };
        let stage = stage.parse().map_err(|_| format!("before '=' comes a stage's number, not '{stage}'"))?;
        Ok(Self { stage: Some(stage), host: host.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_may_belong_to_one_stage() {
        for (text, stage, host) in [
            ("gpu-1.lab.example", None, "gpu-1.lab.example"),
            ("GPU", None, "gpu"),
            ("3=10.0.0.7", Some(3), "10.0.0.7"),
            ("0=fe80::1", Some(0), "fe80::1"),
            ("node_0", None, "node_0"),
        ] {
            let found: HostOf = text.parse().unwrap();
            assert_eq!((found.stage, found.host.to_string().as_str()), (stage, host), "{text}");
        }
        let long = "a.".repeat(127) + "a";
        for text in
            ["", "a b", "a:7101", "10.0.0.300", "10.0.0", "-a", "a-", "a..b", "a.", "*.a", "x=a", "1=", &long]
        {
            assert!(text.parse::<HostOf>().is_err(), "{text}");
        }
    }
}
