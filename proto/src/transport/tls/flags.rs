//! The flags of both programs that say how connections are protected.

use super::{Credentials, Security};
use std::ffi::OsString;
use std::path::PathBuf;

/// The flags; an empty variable of the environment counts as one that is not set.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsFlags {
    /// The CA that issued the certificates of all processes, in PEM; with --tls-cert and --tls-key, mutual TLS is
    /// spoken
    #[arg(long, value_name = "FILE", env = "NEUROPIL_TLS_CA", hide_env_values = true)]
    pub tls_ca: Option<OsString>,
    /// The certificate of this process, in PEM
    #[arg(long, value_name = "FILE", env = "NEUROPIL_TLS_CERT", hide_env_values = true)]
    pub tls_cert: Option<OsString>,
    /// The private key of this process, in PEM
    #[arg(long, value_name = "FILE", env = "NEUROPIL_TLS_KEY", hide_env_values = true)]
    pub tls_key: Option<OsString>,
    /// Speak plaintext with other hosts, where no certificates are given: everybody on the way can read and change all
    #[arg(long)]
    pub insecure_plaintext: bool,
}

impl TlsFlags {
    /// The security that the flags ask for. The log names every doubt about it.
    ///
    /// # Errors
    /// A sentence about files that are missing, or that cannot be used.
    pub fn open(&self) -> Result<Security, String> {
        if self.insecure_plaintext {
            tracing::warn!(
                "--insecure-plaintext is on: without certificates, this program speaks plaintext with other hosts, and accepts every caller"
            );
        }
        match self.credentials()? {
            Some(credentials) => {
                let security = Security::open(&credentials)?;
                security.doubts(&credentials).iter().for_each(|doubt| tracing::warn!("{doubt}"));
                Ok(security)
            }
            None if self.insecure_plaintext => Ok(Security::insecure_plaintext()),
            None => Ok(Security::plaintext()),
        }
    }

    /// All three files, or none.
    fn credentials(&self) -> Result<Option<Credentials>, String> {
        let given = |path: &Option<OsString>| path.clone().filter(|path| !path.is_empty()).map(PathBuf::from);
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key].map(given);
        let missing: Vec<_> = ["--tls-ca", "--tls-cert", "--tls-key"]
            .into_iter()
            .zip(&files)
            .filter_map(|(flag, file)| file.is_none().then_some(flag))
            .collect();
        let missing = missing.join(" and ");
        match files {
            [Some(ca), Some(certificate), Some(key)] => Ok(Some(Credentials { ca, certificate, key })),
            [None, None, None] => Ok(None),
            _ => Err(format!(
                "TLS needs three files, and {missing} is missing: give --tls-ca, --tls-cert and --tls-key (or NEUROPIL_TLS_CA, NEUROPIL_TLS_CERT and NEUROPIL_TLS_KEY), or none of them"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_files_are_given_or_none() {
        let flags = |given: [&str; 3]| {
            let [tls_ca, tls_cert, tls_key] = given.map(|file| (file != "-").then(|| file.into()));
            TlsFlags { tls_ca, tls_cert, tls_key, insecure_plaintext: false }.credentials()
        };
        assert_eq!(flags(["-", "-", ""]), Ok(None));
        assert!(flags(["ca", "cert", "key"]).unwrap().is_some());
        let missing = flags(["ca", "", "-"]).unwrap_err();
        assert!(missing.contains("--tls-cert and --tls-key is missing"), "{missing}");
    }
}
