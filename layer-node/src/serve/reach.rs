//! The reach of a node's ports, and the callers that it accepts there. Without certificates it accepts every caller, so
//! plaintext beyond loopback needs a flag.

use super::Serve;
use proto::identity::Identity;
use proto::link::Role;
use proto::transport::address::ListenAddress;
use proto::transport::tls::Security;

/// Opens the node's security, if it fits the reach of its ports.
///
/// # Errors
/// A sentence about a file that cannot be used, a certificate that is no stage's, a port that plaintext would open, or
/// sockets that do not go together.
pub(super) fn open(flags: &Serve) -> Result<Security, String> {
    let security = flags.tls.open()?;
    let planes = [("--listen", &flags.listen), ("--control", &flags.control)];
    for (flag, address) in planes {
        match address {
            ListenAddress::Unix(_) => security.check_unix(&format!("{flag} {address}"))?,
            ListenAddress::Tcp(_) => {}
        }
    }
    if let [(_, ListenAddress::Unix(_)), (_, ListenAddress::Tcp(_))]
    | [(_, ListenAddress::Tcp(_)), (_, ListenAddress::Unix(_))] = planes
    {
        return Err(format!(
            "--listen {} and --control {} are of two kinds, and every peer of this node needs both: give both a unix:PATH, or both an IP:PORT",
            flags.listen, flags.control
        ));
    }
    match security.identity().as_ref().map(Identity::role) {
        None => {
            for (flag, address) in planes {
                if let ListenAddress::Tcp(socket) = address {
                    security.check_reach(&format!("{flag} {address}"), socket.ip())?;
                }
            }
        }
        Some(Role::Stage(_) | Role::Backward(_)) => {}
        Some(Role::Coordinator | Role::Node) => {
            return Err("--tls-cert is the coordinator's: give the node the certificate of its stage".into());
        }
    }
    Ok(security)
}

/// The sentences for the log about ports that other hosts reach, or that they need and do not reach.
pub(super) fn warnings(flags: &Serve) -> Vec<String> {
    let Serve { listen, control, health, metrics, .. } = flags;
    let mut warnings = Vec::new();
    let open: Vec<_> = [("--health", Some(health.clone())), ("--metrics", metrics.map(ListenAddress::from))]
        .into_iter()
        .filter_map(|(flag, address)| Some(format!("{flag} {}", address.filter(ListenAddress::is_open)?)))
        .collect();
    if !open.is_empty() {
        warnings.push(format!(
            "{} is open to other hosts, always in plaintext: whoever reaches the port learns what this node is doing, and can do nothing to it",
            open.join(", ")
        ));
    }
    if control.is_open() && !listen.is_open() {
        warnings.push(format!(
            "--control {control} is open to other hosts and --listen {listen} is not: neighbours on other hosts will not reach this node, so give --listen an address of this host as well"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: Serve,
    }

    fn flags(arguments: &[&str]) -> Serve {
        let mut serve = Flags::parse_from(std::iter::once(&"serve").chain(arguments)).serve;
        // The test must not depend on its environment.
        (serve.tls.tls_ca, serve.tls.tls_cert, serve.tls.tls_key) = (None, None, None);
        serve
    }

    #[test]
    fn ports_are_on_loopback_unless_another_address_is_given() {
        let loopback =
            ["--listen", "[::1]:1", "--control", "127.0.0.2:2", "--metrics", "[::ffff:127.0.0.1]:3"];
        for arguments in [&[][..], &loopback] {
            assert_eq!(warnings(&flags(arguments)), [""; 0]);
            assert!(open(&flags(arguments)).is_ok());
        }
    }

    #[test]
    fn plaintext_beyond_loopback_is_refused_unless_it_is_asked_for() {
        for (flag, address) in [("--listen", "0.0.0.0:7100"), ("--control", "[::]:7101")] {
            let refused = open(&flags(&[flag, address])).unwrap_err();
            assert!(refused.starts_with(&format!("{flag} {address} is beyond")), "{refused}");
            for remedy in ["--tls-cert", "coordinator certificates", "--insecure-plaintext"] {
                assert!(refused.contains(remedy), "{refused}");
            }
            assert!(open(&flags(&[flag, address, "--insecure-plaintext"])).is_ok());
        }
    }

    #[test]
    fn an_open_port_is_named_with_what_it_lets_others_do() {
        let said = |arguments: &[&str]| warnings(&flags(arguments)).join("\n");
        let metrics = said(&["--metrics", "10.0.0.2:9100"]);
        assert!(metrics.contains("learns what this node is doing"), "{metrics}");
        let half = said(&["--control", "10.0.0.2:7101"]);
        assert!(half.contains("give --listen an address of this host as well"), "{half}");
    }
}
