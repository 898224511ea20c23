//! The one check of a peer's certificate, for servers and for clients: its chain, its time and its use by webpki, and
//! then its identity.

use super::certificate::{Certificate, utc};
use crate::identity::Identity;
use crate::link::Role;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::time::SystemTime;
use tokio_rustls::rustls::CertificateError;
use webpki::{EndEntityCert, Error, KeyUsage};

/// The end of a connection that shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The server's end.
    ByServer,
    /// The client's end.
    ByClient,
}

/// A CA that this process trusts.
pub(super) struct Authority {
    pub anchor: TrustAnchor<'static>,
    pub certificate: Certificate,
}

/// The facts that are known before a certificate is shown.
pub(super) struct Expectation<'a> {
    /// The CAs of this process.
    pub authorities: &'a [Authority],
    /// The signature algorithms that are supported.
    pub algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    /// This process.
    pub own: &'a Identity,
    /// The roles of this process's deployment that are expected; `Role::Node` is any node.
    pub roles: &'a [Role],
    /// The end that shows the certificate.
    pub shown: Shown,
}

/// The refusal of a certificate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// The alert for the other side follows from it.
    pub alert: CertificateError,
    /// The rest of a sentence that begins with the other side.
    pub sentence: String,
}

impl Expectation<'_> {
    /// Verifies a certificate with the certificates that came with it, and returns the identity that it proves.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let refusal = |alert, sentence: String| Refusal { alert, sentence };
        let certificate = Certificate::read(leaf).map_err(|why| {
            refusal(CertificateError::BadEncoding, format!("shows no readable certificate ({why})"))
        })?;
        self.verify_chain(leaf, others, now).map_err(|error| self.refuse_chain(&certificate, &error, now))?;
        self.verify_identity(&certificate).map_err(|why| {
            refusal(CertificateError::ApplicationVerificationFailure, format!("shows {certificate}, {why}"))
        })
    }

    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<(), Error> {
        // webpki does not check when a CA of ours ends.
        let holds = |authority: &&Authority| authority.certificate.holds_at(now);
        let anchors: Vec<_> =
            self.authorities.iter().filter(holds).map(|authority| authority.anchor.clone()).collect();
        let usage = match self.shown {
            Shown::ByServer => KeyUsage::server_auth(),
            Shown::ByClient => KeyUsage::client_auth(),
        };
        let leaf = EndEntityCert::try_from(leaf)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        leaf.verify_for_usage(self.algorithms, &anchors, others, now, usage, None, None).map(drop)
    }

    fn refuse_chain(&self, certificate: &Certificate, error: &Error, now: SystemTime) -> Refusal {
        let (alert, why) = match error {
            Error::CertExpired { .. } => (
                CertificateError::Expired,
                format!("which has expired (the clock here says {}): renew it", utc(now)),
            ),
            Error::CertNotValidYet { .. } => (
                CertificateError::NotValidYet,
                format!(
                    "which is not valid yet (the clock here says {}): compare the clocks of both hosts",
                    utc(now)
                ),
            ),
            // A CA of the same name, but of another key, is another CA.
            Error::UnknownIssuer
            | Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                (CertificateError::UnknownIssuer, self.foreign(now))
            }
            Error::RequiredEkuNotFoundContext(_) => (
                CertificateError::InvalidPurpose,
                match self.shown {
                    Shown::ByServer => {
                        "which is for clients only: a node needs the certificate of its stage".into()
                    }
                    Shown::ByClient => "which is for servers only: a client's certificate is expected".into(),
                },
            ),
            Error::BadDer | Error::BadDerTime => {
                (CertificateError::BadEncoding, "which cannot be decoded".into())
            }
            error => (CertificateError::BadSignature, format!("which cannot be verified ({error})")),
        };
        Refusal { alert, sentence: format!("shows {certificate}, {why}") }
    }

    fn foreign(&self, now: SystemTime) -> String {
        match self.authorities.iter().find(|authority| authority.certificate.holds_at(now)) {
            Some(_) => {
                "which no CA of --tls-ca has issued: both programs need certificates of the same CA".into()
            }
            None => "and no certificate of --tls-ca holds at this time: renew the CA, or set the clock here"
                .into(),
        }
    }

    fn verify_identity(&self, certificate: &Certificate) -> Result<Identity, String> {
        let identity = certificate.identity.as_ref().map_err(|why| {
            format!("which proves no identity ({why}): make certificates with `coordinator certificates`")
        })?;
        if identity.deployment() != self.own.deployment() {
            return Err(format!("of another deployment than this process, which is {}", self.own));
        }
        match self.roles.iter().any(|expected| meets(identity.role(), *expected)) {
            true => Ok(identity.clone()),
            false => Err(self.unexpected()),
        }
    }

    fn unexpected(&self) -> String {
        let name = |role: &Role| match role {
            Role::Node => format!("a stage of {}", self.own.deployment()),
            role => self.own.neighbour(*role).to_string(),
        };
        let names = self.roles.iter().map(name).collect::<Vec<_>>().join(" or ");
        match self.shown {
            Shown::ByServer => format!("where {names} is expected: check the addresses and their order"),
            Shown::ByClient => format!("and only {names} may call here"),
        }
    }
}

/// Whether a process of the role `shown` is accepted where `expected` is expected.
fn meets(shown: Role, expected: Role) -> bool {
    shown == expected || matches!((expected, shown), (Role::Node, Role::Stage(_) | Role::Backward(_)))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Ca, DAY, Leaf};
    use super::*;
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    use tokio_rustls::rustls::crypto::ring;

    const STAGE: &str = "neuropil:lab:stage:3";

    /// The coordinator's verdict of `leaf` at `now`, in the deployment `lab`, if it expects `roles`.
    fn verify(
        ca: &Ca,
        leaf: &CertificateDer<'_>,
        roles: &[Role],
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let authorities = [ca.authority()];
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let own = Identity::new("lab", Role::Coordinator).unwrap();
        let own = &own;
        let shown = Shown::ByServer;
        Expectation { authorities: &authorities, algorithms, own, roles, shown }.verify(leaf, &[], now)
    }

    #[test]
    fn each_check_that_fails_has_its_alert_and_its_sentence() {
        use CertificateError::{ApplicationVerificationFailure as Identity, *};
        let (ca, now) = (Ca::new("ca"), SystemTime::now());
        let right = || Leaf::of(&[STAGE]);
        let said = |leaf: Leaf, now| verify(&ca, &ca.issue(&leaf), &[Role::Stage(3)], now).unwrap_err();
        let table = [
            (said(Leaf { until: now - DAY / 2, ..right() }, now), Expired, "has expired"),
            (said(Leaf { from: now + DAY, ..right() }, now), NotValidYet, "not valid yet"),
            (said(Leaf { uses: vec![ClientAuth], ..right() }, now), InvalidPurpose, "for clients only"),
            (said(right(), now + 40 * DAY), UnknownIssuer, "renew the CA"),
            (said(Leaf::of(&["neuropil:barn:stage:3"]), now), Identity, "another deployment"),
            (
                said(Leaf::of(&["neuropil:lab:stage:2"]), now),
                Identity,
                "where neuropil:lab:stage:3 is expected",
            ),
            (
                said(Leaf::of(&["neuropil:lab:coordinator"]), now),
                Identity,
                "where neuropil:lab:stage:3 is expected",
            ),
            (said(Leaf::of(&[]), now), Identity, "proves no identity"),
        ];
        for (refusal, alert, words) in table {
            assert!(refusal.alert == alert && refusal.sentence.contains(words), "{refusal:?}");
            assert!(refusal.sentence.starts_with("shows "), "{refusal:?}");
        }
        for name in ["ca", "another"] {
            let foreign = Ca::new(name).issue(&right());
            let refusal = verify(&ca, &foreign, &[Role::Node], now).unwrap_err();
            assert!(refusal.alert == UnknownIssuer && refusal.sentence.contains("has issued"), "{refusal:?}");
        }
    }

    #[test]
    fn a_stage_and_its_backward_node_are_not_taken_for_each_other() {
        const BACKWARD: &str = "neuropil:lab:stage:3:backward";
        let (ca, now) = (Ca::new("ca"), SystemTime::now());
        let [stage, backward] = [STAGE, BACKWARD].map(|uri| ca.issue(&Leaf::of(&[uri])));
        for (leaf, due, words) in [
            (&backward, Role::Stage(3), "where neuropil:lab:stage:3 is expected: check the addresses"),
            (
                &stage,
                Role::Backward(3),
                "where neuropil:lab:stage:3:backward is expected: check the addresses",
            ),
            (&backward, Role::Backward(2), "where neuropil:lab:stage:2:backward is expected"),
            (&backward, Role::Coordinator, "where neuropil:lab:coordinator is expected"),
        ] {
            let refusal = verify(&ca, leaf, &[due], now).unwrap_err();
            assert_eq!(refusal.alert, CertificateError::ApplicationVerificationFailure, "{refusal:?}");
            assert!(refusal.sentence.contains(words), "{refusal:?}");
        }
        for role in [Role::Backward(3), Role::Node] {
            assert_eq!(verify(&ca, &backward, &[role], now).unwrap().to_string(), BACKWARD);
        }
    }

    #[test]
    fn the_expected_stage_and_any_stage_where_any_is_expected_are_believed() {
        let (ca, now) = (Ca::new("ca"), SystemTime::now());
        let leaf = ca.issue(&Leaf { uses: vec![ServerAuth], ..Leaf::of(&[STAGE]) });
        for roles in [&[Role::Stage(3)][..], &[Role::Node], &[Role::Coordinator, Role::Stage(3)]] {
            assert_eq!(verify(&ca, &leaf, roles, now).unwrap().to_string(), STAGE);
        }
        assert!(verify(&ca, &leaf, &[], now).is_err());
    }
}
