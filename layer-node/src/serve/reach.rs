//! The reach of a node's ports. Nobody proves an identity yet, so a port beyond loopback is open to everybody who
//! reaches it.

use super::Serve;
use proto::transport::admission::is_open;

/// The sentences for the log about ports that other hosts reach, or that they need and do not reach.
pub(super) fn warnings(flags: &Serve) -> Vec<String> {
    let Serve { listen, control, health, metrics, .. } = flags;
    let ports = [
        ("--listen", Some(*listen)),
        ("--control", Some(*control)),
        ("--health", Some(*health)),
        ("--metrics", *metrics),
    ];
    let open: Vec<_> = ports
        .iter()
        .filter_map(|(flag, address)| Some((flag, address.filter(is_open)?)))
        .map(|(flag, address)| format!("{flag} {address}"))
        .collect();
    let mut warnings = Vec::new();
    if !open.is_empty() {
        let meaning = match is_open(listen) || is_open(control) {
            true => {
                "can configure this node, read and change the activations and errors that it exchanges, and have its state replaced"
            }
            false => "learns what this node is doing",
        };
        warnings.push(format!(
            "{} is open to other hosts, and there are no identities and no encryption yet: whoever reaches a port {meaning}, so let only hosts that you trust reach it",
            open.join(", ")
        ));
    }
    if is_open(control) && !is_open(listen) {
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

    fn said(arguments: &[&str]) -> Vec<String> {
        warnings(&Flags::parse_from(std::iter::once(&"serve").chain(arguments)).serve)
    }

    #[test]
    fn ports_are_on_loopback_unless_another_address_is_given() {
        assert_eq!(said(&[]), [""; 0]);
        let loopback =
            ["--listen", "[::1]:1", "--control", "127.0.0.2:2", "--metrics", "[::ffff:127.0.0.1]:3"];
        assert_eq!(said(&loopback), [""; 0]);
    }

    #[test]
    fn an_open_port_is_named_with_what_it_lets_others_do() {
        let said = |arguments: &[&str]| said(arguments).join("\n");
        let both = said(&["--listen", "0.0.0.0:7100", "--control", "[::]:7101"]);
        assert!(
            both.starts_with("--listen 0.0.0.0:7100, --control [::]:7101 is open to other hosts"),
            "{both}"
        );
        assert!(both.contains("no identities") && both.contains("can configure this node"), "{both}");
        assert_eq!(both.lines().count(), 1, "{both}");
        let metrics = said(&["--metrics", "10.0.0.2:9100"]);
        assert!(
            metrics.contains("learns what this node is doing") && !metrics.contains("configure"),
            "{metrics}"
        );
        let half = said(&["--control", "10.0.0.2:7101"]);
        assert!(half.contains("give --listen an address of this host as well"), "{half}");
    }
}
