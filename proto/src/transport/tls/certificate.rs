//! The contents of a certificate that matter here: the identity in its URI, and its time of validity.

use crate::identity::Identity;
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

/// The beginning of a URI that names an identity of this project.
const SCHEME: &str = "neuropil:";

/// The contents of a certificate; nothing here is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The identity, or the reason why the certificate names none.
    pub identity: Result<Identity, String>,
    /// The first moment of the certificate's validity.
    pub from: SystemTime,
    /// The last moment of its validity.
    pub until: SystemTime,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// A few words about bytes that are no certificate.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (rest, read) = parse_x509_certificate(der).map_err(|_| "it cannot be decoded".to_owned())?;
        if !rest.is_empty() {
            return Err("bytes follow it".into());
        }
        let validity = read.validity();
        Ok(Self {
            identity: identity(&read),
            from: moment(validity.not_before),
            until: moment(validity.not_after),
        })
    }

    /// Whether the certificate is valid at `now`.
    pub fn holds_at(&self, now: SystemTime) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

/// The owner and the validity, as in `neuropil:lab:stage:3's certificate (valid from … until …)`.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Ok(identity) => write!(f, "{identity}'s certificate")?,
            Err(_) => f.write_str("a certificate without an identity")?,
        }
        write!(f, " (valid from {} until {})", utc(self.from), utc(self.until))
    }
}

/// The one identity among a certificate's URIs. Other names, and URIs of other schemes, are there for other tools.
fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, String> {
    let names =
        certificate.subject_alternative_name().map_err(|_| "its names cannot be decoded".to_owned())?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) if is_ours(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    let mut found = names.iter().filter_map(uri);
    match (found.next(), found.next()) {
        (Some(uri), None) => uri.parse().map_err(|error| format!("'{}': {error}", uri.escape_default())),
        (None, _) => Err("it has no URI neuropil:DEPLOYMENT:…".into()),
        (Some(_), Some(_)) => Err("it has several URIs neuropil:DEPLOYMENT:…".into()),
    }
}

/// The case of a scheme does not matter.
fn is_ours(uri: &str) -> bool {
    uri.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

fn moment(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// A moment as people read it.
pub(super) fn utc(moment: SystemTime) -> String {
    let at = at(moment);
    format!("{} {:02}:{:02} UTC", date(moment), at.hour(), at.minute())
}

/// The day of a moment, as in `2026-09-30`.
pub fn date(moment: SystemTime) -> String {
    let (year, month, day) = at(moment).to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

/// A moment as the type of the crate `time`, which ends with the year 9999.
fn at(moment: SystemTime) -> OffsetDateTime {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(OffsetDateTime::new_utc(time::Date::MAX, time::Time::MIDNIGHT))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Ca, Leaf};
    use super::*;
    use proptest::prelude::*;

    fn identity_of(uris: &[&str]) -> Result<Identity, String> {
        let leaf = Ca::new("ca").issue(&Leaf::of(uris));
        Certificate::read(&leaf).unwrap().identity
    }

    #[test]
    fn a_certificate_has_one_identity_and_names_for_other_tools() {
        let stage = "neuropil:lab:stage:3";
        assert_eq!(identity_of(&[stage]).unwrap().to_string(), stage);
        assert_eq!(identity_of(&["spiffe://lab/3", stage]).unwrap().to_string(), stage);
        for (uris, why) in [
            (&[][..], "no URI"),
            (&["spiffe://lab/3"], "no URI"),
            (&[stage, "neuropil:lab:coordinator"], "several"),
            (&[stage, stage], "several"),
            (&["NEUROPIL:lab:stage:3"], "an identity is"),
            (&[stage, "Neuropil:lab:stage:3"], "several"),
            (&["neuropil:lab:stage:03"], "an identity is"),
        ] {
            let said = identity_of(uris).unwrap_err();
            assert!(said.contains(why), "{uris:?}: {said}");
        }
    }

    #[test]
    fn moments_are_told_in_utc() {
        assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(1_790_812_799)), "2026-09-30 23:59 UTC");
        assert_eq!(date(UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) << 20)), "9999-12-31");
    }

    proptest! {
        #[test]
        fn changed_bytes_are_read_or_refused(at in 0usize..2000, byte: u8, end in 0usize..2000) {
            thread_local!(static WHOLE: CertificateDer<'static> = Ca::new("ca").issue(&Leaf::of(&["neuropil:lab:stage:3"])));
            let mut bytes = WHOLE.with(|whole| whole.to_vec());
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - end % 2 * (end % length));
            let _ = Certificate::read(&bytes.into()).map(|read| read.to_string());
        }
    }
}
