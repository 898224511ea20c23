//! The other side's refusal of this process's certificate: in TLS, a word without a reason.

use super::certificate::Certificate;
use std::io;
use tokio_rustls::rustls::{AlertDescription, Error};

/// The error of TLS behind an error of a stream, if there is one; all others are the network's.
pub(super) fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The rest of a sentence that begins with the side that has sent `alert` to the owner of `own`.
pub(super) fn refusal(own: &Certificate, alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::CertificateExpired => {
            "to it, this has expired or is not valid yet: renew it, or compare the clocks of both hosts"
        }
        AlertDescription::UnknownCA => {
            "no CA that it trusts has issued this: both programs need certificates of the same CA"
        }
        AlertDescription::UnsupportedCertificate => {
            "this is for servers only where a client's is expected, or the reverse"
        }
        AlertDescription::AccessDenied => {
            "it expects another identity here: its log names both, and the deployment, the addresses and their order may be wrong"
        }
        AlertDescription::CertificateRequired => "it was not shown: both programs need one",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => "it could not be verified: the log there says why",
        other => return format!("broke the TLS handshake off (alert {other:?}): its log says why"),
    };
    format!("refuses {own}: {why}")
}
