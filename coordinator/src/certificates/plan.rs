//! The plan of a call: it chooses the certificates to make, from the order, the contents of the folder, and the time.
//!
//! ```text
//! folder                          plan
//! nothing                         a new CA, everything added
//! CA, stages 0 and 1; --stages 3  0 and 1 and the coordinator renewed, 2 added
//! CA, stages 0 to 4; --stages 3   0 to 2 and the coordinator renewed, 3 and 4 left as they are
//! CA, 0 and its backward node;    0 and the coordinator renewed, and its backward node only with --backward 0
//!     --stages 1
//! a CA that cannot sign, or signs for another deployment: a sentence, and nothing changes
//! ```
//!
//! An existing key stays. Its new certificate is for the same key, so a renewal moves no secret to any host.

use super::backward::BackwardOf;
use super::host::{Host, HostOf};
use super::names::{self, CA, CA_KEY};
use proto::identity::Identity;
use proto::link::Role;
use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use time::{Duration, OffsetDateTime};

/// Certificates are valid from this long before they are made, for hosts whose clocks are behind.
const SKEW: Duration = Duration::minutes(10);
/// How long a CA is valid, unless certificates are wanted for longer.
const CA_DAYS: u32 = 3650;

/// The user's order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The number of stages.
    pub stages: u32,
    /// The stages that have a backward node.
    pub backward: BackwardOf,
    /// The hosts that the nodes' certificates name.
    pub hosts: Vec<HostOf>,
    /// The days for which certificates are valid.
    pub days: u32,
    /// The deployment's name, where the user gives it one.
    pub deployment: Option<String>,
    /// Whether the certificates are for pods, which other pods reach by the names of their Services.
    pub kubernetes: bool,
}

/// The contents of a folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The CA's certificate.
    pub(super) authority: Option<Authority>,
    /// Whether the CA's key is there; where the certificate is there too, whether it is the certificate's key.
    pub(super) key: Option<bool>,
    /// The files of each process.
    pub(super) processes: HashMap<Role, Held>,
}

/// An existing CA.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    /// Its deployment.
    pub(super) deployment: String,
    /// The time in which it is valid.
    pub(super) valid: Validity,
}

/// The files of one process in a folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// The certificate.
    pub(super) certificate: Option<Certificate>,
    /// Whether there is a key.
    pub(super) key: bool,
}

/// An existing certificate of a process.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// The identity.
    pub(super) identity: Identity,
    /// The hosts that it names.
    pub(super) hosts: Vec<Host>,
}

/// The first and the last moment of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: OffsetDateTime,
    pub(super) to: OffsetDateTime,
}

/// The certificates to make.
#[derive(Debug)]
pub(super) struct Plan {
    /// The deployment's name.
    pub(super) deployment: String,
    /// The time in which the CA is valid.
    pub(super) authority: Validity,
    /// Whether the CA is to be made.
    pub(super) new_authority: bool,
    /// The certificates to make: the stages' in order, then the backward nodes', then the coordinator's.
    pub(super) leaves: Vec<Leaf>,
    /// The stages beyond the order that the folder holds, which stay as they are.
    pub(super) left: BTreeSet<u32>,
    /// The stages whose backward nodes are beyond the order, and stay as they are.
    pub(super) left_backward: BTreeSet<u32>,
}

/// A certificate to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) identity: Identity,
    pub(super) hosts: Vec<Host>,
    pub(super) valid: Validity,
    pub(super) change: Change,
    /// Whether the key that is there stays.
    pub(super) keeps_key: bool,
}

/// Whether a certificate is new or takes the place of an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Renewed,
}

/// Decides what to make. `spare` is the name of a new deployment to which the order gives none.
///
/// # Errors
/// A sentence about a folder whose CA cannot sign, or about an order that cannot be met.
pub(super) fn plan(order: &Order, found: &Found, now: OffsetDateTime, spare: &str) -> Result<Plan, String> {
    let backward = order.backward.among(order.stages)?;
    let nodes: Vec<Role> =
        (0..order.stages).map(Role::Stage).chain(backward.into_iter().map(Role::Backward)).collect();
    if let Some(node) = order.hosts.iter().filter_map(|host| host.node).find(|node| !nodes.contains(node)) {
        return Err(format!("--host names a host of {node}, and {}", beyond(node, order.stages)));
    }
    let (deployment, authority) = match standing(order, found, now)? {
        Some(authority) => (authority.deployment.as_str(), authority.valid),
        None => (order.deployment.as_deref().unwrap_or(spare), validity(now, order.days.max(CA_DAYS))),
    };
    let mut valid = validity(now, order.days);
    // A certificate proves nothing after the end of its CA.
    valid.to = valid.to.min(authority.to);
    let roles = nodes.iter().copied().chain([Role::Coordinator]);
    let leaves = roles.map(|role| leaf(order, found, &Identity::new(deployment, role)?, valid));
    let left = found.processes.keys().filter(|role| !nodes.contains(role));
    let of = |of: fn(&Role) -> Option<u32>| left.clone().filter_map(of).collect();
    Ok(Plan {
        deployment: deployment.into(),
        authority,
        new_authority: found.authority.is_none(),
        leaves: leaves.collect::<Result<_, String>>()?,
        left: of(|role| if let Role::Stage(stage) = role { Some(*stage) } else { None }),
        left_backward: of(|role| if let Role::Backward(stage) = role { Some(*stage) } else { None }),
    })
}

/// The reason why `node` is not among the ordered nodes.
fn beyond(node: Role, stages: u32) -> String {
    match node {
        Role::Backward(stage) if stage < stages => format!("--backward does not name stage {stage}"),
        _ => format!("the last stage is {}", stages - 1),
    }
}

fn validity(now: OffsetDateTime, days: u32) -> Validity {
    Validity { from: now - SKEW, to: now + Duration::days(days.into()) }
}

/// The CA that is there, if it can sign the order; `None` if there is none yet.
fn standing<'a>(
    order: &Order,
    found: &'a Found,
    now: OffsetDateTime,
) -> Result<Option<&'a Authority>, String> {
    let Some(authority) = &found.authority else {
        // A call that ended early may have left keys, and writes certificates only after the CA.
        return match found.processes.values().any(|held| held.certificate.is_some()) {
            true => Err(format!(
                "it holds certificates and no {CA}: put {CA} and {CA_KEY} back, or choose another --out"
            )),
            false => Ok(None),
        };
    };
    let Validity { from, to } = authority.valid;
    let fault = match (found.key, &order.deployment) {
        (None, _) => format!("{CA_KEY} is missing: put it back, or choose another --out for a new CA"),
        (Some(false), _) => {
            format!("{CA_KEY} is not the key of {CA}: put back the files that belong together")
        }
        _ if now < from => {
            format!("its CA is valid from {} on, and it is {}: check the clock", date(from), date(now))
        }
        _ if now >= to => format!("its CA expired at {}: make a new CA with another --out", date(to)),
        (_, Some(other)) if *other != authority.deployment => format!(
            "its CA is of deployment '{}', not of '{other}': leave out --deployment, or choose another --out",
            authority.deployment
        ),
        _ => return Ok(Some(authority)),
    };
    Err(fault)
}

fn leaf(order: &Order, found: &Found, identity: &Identity, valid: Validity) -> Result<Leaf, String> {
    let nothing = Held::default();
    let held = found.processes.get(&identity.role()).unwrap_or(&nothing);
    if let Some(other) = held.certificate.as_ref().filter(|certificate| certificate.identity != *identity) {
        let file = names::certificate(identity);
        return Err(format!(
            "{file} is the certificate of '{}', not of '{identity}': move it away",
            other.identity
        ));
    }
    Ok(Leaf {
        identity: identity.clone(),
        hosts: hosts(order, identity, held.certificate.as_ref()),
        valid,
        change: if held.certificate.is_some() { Change::Renewed } else { Change::Added },
        keeps_key: held.key,
    })
}

/// The hosts that a certificate names: those of the order, or else those of the certificate before it, and on
/// Kubernetes the process's Service.
fn hosts(order: &Order, identity: &Identity, before: Option<&Certificate>) -> Vec<Host> {
    let role = identity.role();
    if role == Role::Coordinator {
        // Nobody dials the coordinator.
        return Vec::new();
    }
    let ordered: Vec<Host> = order
        .hosts
        .iter()
        .filter(|host| host.node.is_none_or(|only| only == role))
        .map(|host| host.host.clone())
        .collect();
    let service = (order.kubernetes && ordered.is_empty()).then(|| Host::Name(names::stem(identity)));
    let mut hosts = match before {
        Some(before) if ordered.is_empty() => before.hosts.clone(),
        _ => ordered,
    };
    let loopback = [
        Host::Name("localhost".into()),
        Host::Address(Ipv4Addr::LOCALHOST.into()),
        Host::Address(Ipv6Addr::LOCALHOST.into()),
    ];
    for host in service.into_iter().chain(loopback) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// A moment in a readable form, in UTC.
pub(super) fn date(moment: OffsetDateTime) -> String {
    let (year, month, day) = moment.to_calendar_date();
    let (hour, minute, _) = moment.to_hms();
    format!("{year}-{:02}-{day:02} {hour:02}:{minute:02} UTC", u8::from(month))
}
