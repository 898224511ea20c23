//! The strangers: what each shows, and what both ends say of it.

use Shown::{Bare, Made, Plain, Stolen};

/// A program that shows a certificate which is not its own, or none.
pub struct Stranger {
    /// What it shows, in words.
    pub what: &'static str,
    pub shown: Shown,
    /// A part of what the end that refuses says.
    pub refusal: &'static str,
    /// A part of what the end that is refused says.
    pub complaint: &'static str,
}

/// The certificate that a stranger shows.
#[derive(Clone, Copy)]
pub enum Shown {
    /// None, in plaintext.
    Plain,
    /// None, over TLS: by `scripts/tls_client.py`, since no program of Neuropil's speaks TLS without one.
    Bare,
    /// One that `scripts/strangers.py` makes, by the name of what is wrong with it.
    Made(&'static str),
    /// One of the deployment that belongs elsewhere. A client shows it by `scripts/tls_client.py`: a coordinator does
    /// not start with the certificate of a stage.
    Stolen(&'static str),
}

/// Strangers that connect to the control port of stage 0. The node shows its certificate first, so that a client of
/// another deployment goes before the node has seen its own.
pub const CLIENTS: &[Stranger] = &[
    stranger("no certificate, nor TLS", Plain, "does not speak TLS", "this program has no certificate"),
    stranger("no certificate", Bare, "shows no certificate", "CERTIFICATE_REQUIRED"),
    stranger("a certificate of another CA", Made("other-ca"), FOREIGN, UNKNOWN),
    stranger("a certificate of a CA with our CA's name", Made("forged-ca"), FOREIGN, UNKNOWN),
    stranger(
        "another deployment's certificate",
        Made("other-deployment"),
        ELSEWHERE,
        "of another deployment",
    ),
    stranger("an expired certificate", Made("expired"), "which has expired", "has expired"),
    stranger("a certificate of tomorrow", Made("early"), "which is not valid yet", "not valid yet"),
    stranger("a certificate for servers", Made("other-use"), "for servers only", "for servers only"),
    stranger("a stage's certificate", Stolen("stage-1"), "may call here", "ACCESS_DENIED"),
];

/// A stranger that connects to the data port of stage 2, where stage 1 and the coordinator may.
pub const SWAPPED: &Stranger =
    &stranger("stage 0's certificate at stage 2's port", Stolen("stage-0"), "may call here", "ACCESS_DENIED");

/// Strangers that listen where stage 0 is due.
pub const SERVERS: &[Stranger] = &[
    stranger("no certificate, nor TLS", Plain, "does not speak TLS", "speaks TLS"),
    stranger("a certificate of another CA", Made("other-ca"), FOREIGN, UNKNOWN),
    stranger("a certificate of a CA with our CA's name", Made("forged-ca"), FOREIGN, UNKNOWN),
    stranger(
        "another deployment's certificate",
        Made("other-deployment"),
        "of another deployment",
        ELSEWHERE,
    ),
    stranger("an expired certificate", Made("expired"), "which has expired", "has expired"),
    stranger("a certificate of tomorrow", Made("early"), "which is not valid yet", "not valid yet"),
    stranger("a certificate for clients", Made("other-use"), "for clients only", "or the reverse"),
    stranger("another stage's certificate", Stolen("stage-1"), "is expected", ELSEWHERE),
];

const FOREIGN: &str = "no CA of --tls-ca has issued";
const UNKNOWN: &str = "no CA that it trusts has issued";
/// TLS has one word for all identities that are not due.
const ELSEWHERE: &str = "expects another identity";

const fn stranger(
    what: &'static str,
    shown: Shown,
    refusal: &'static str,
    complaint: &'static str,
) -> Stranger {
    Stranger { what, shown, refusal, complaint }
}
