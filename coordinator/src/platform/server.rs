//! The status server, as the environment announces it.

use hyper::Uri;
use hyper::http::uri::Authority;
use std::path::PathBuf;

/// The variable with the server's URL, which ends with the job's path.
pub const URL: &str = "KUBEFLOW_TRAINER_SERVER_URL";
/// The variable with the path of the certificates of the server's CA.
const CA: &str = "KUBEFLOW_TRAINER_SERVER_CA_CERT";
/// The variable with the path of the token.
const TOKEN: &str = "KUBEFLOW_TRAINER_SERVER_TOKEN";
/// The port of HTTPS.
const PORT: u16 = 443;

/// A status server, and the files for calls to it. Both files change during a run: the kubelet renews the token, and
/// Trainer the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The host and, where it was given, the port, for the request's head and for messages.
    pub authority: Authority,
    /// The name or address of the host, an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path that a status is posted to.
    pub path: String,
    /// The file with the certificates of the server's CA, in PEM.
    pub ca: PathBuf,
    /// The file with the token.
    pub token: PathBuf,
}

impl Server {
    /// The server that the environment announces; `None` where it announces none.
    ///
    /// # Errors
    /// A sentence with the reason why nothing can be posted.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(url) = given(URL) else { return Ok(None) };
        let file = |name: &str| {
            let missing = || format!("{URL} is set and {name} is not: set both, or neither");
            given(name).map(PathBuf::from).ok_or_else(missing)
        };
        Ok(Some(Self { ca: file(CA)?, token: file(TOKEN)?, ..Self::at(&url)? }))
    }

    /// The server at `url`, without files. The URL is not repeated in a refusal, because it may hold a password.
    fn at(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{URL} is no URL ({error})"))?;
        // A reader of the token can change the job's status. So it goes to no other scheme, not even on this host.
        if uri.scheme_str() != Some("https") {
            return Err(format!(
                "{URL} must begin with https://, because the token never goes out in plaintext"
            ));
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| format!("{URL} names no host"))?.clone();
        if authority.as_str().contains('@') {
            return Err(format!(
                "{URL} must name a host alone, without user and password: the token is the proof"
            ));
        }
        if authority.port_u16().is_none() && authority.as_str().trim_end_matches(':') != authority.host() {
            return Err(format!("{URL} names a port beyond 65535: the status server has another one"));
        }
        let bare = authority.host().trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            host: bare.to_owned(),
            port: authority.port_u16().unwrap_or(PORT),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authority,
            ca: PathBuf::new(),
            token: PathBuf::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(url: &str) -> Result<Option<Server>, String> {
        Server::find(|name| match name {
            URL => Some(url.to_owned()),
            _ => Some(format!("/files/{name}")),
        })
    }

    #[test]
    fn a_server_is_what_trainer_announces() {
        let path = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/lab/trainjobs/demo/status";
        let server = find(&format!("https://trainer.kubeflow.svc:8082{path}")).unwrap().unwrap();
        assert_eq!(
            (server.host.as_str(), server.port, server.path.as_str()),
            ("trainer.kubeflow.svc", 8082, path)
        );
        assert_eq!(server.authority, "trainer.kubeflow.svc:8082");
        assert_eq!(server.ca, PathBuf::from(format!("/files/{CA}")));
        assert_eq!(server.token, PathBuf::from(format!("/files/{TOKEN}")));
        let bare = find("https://[fd00::1]").unwrap().unwrap();
        assert_eq!((bare.host.as_str(), bare.port, bare.path.as_str()), ("fd00::1", 443, "/"));
    }

    #[test]
    fn nothing_is_announced_without_a_url() {
        assert_eq!(Server::find(|_| None), Ok(None));
        assert_eq!(find(""), Ok(None));
    }

    #[test]
    fn a_refusal_names_the_variable_and_repeats_no_password() {
        for (url, why) in [
            ("http://127.0.0.1:8082/status", "must begin with https://"),
            ("/status", "must begin with https://"),
            ("https://user:secret@host/status", "without user and password"),
            ("https://user:secret@host:port:port/", "is no URL"),
            ("https://trainer:70000/", "names a port beyond 65535"),
            ("https://", "is no URL"),
        ] {
            let refusal = find(url).unwrap_err();
            assert!(refusal.starts_with(URL) && refusal.contains(why), "{url}: {refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        for (there, missing) in [(TOKEN, CA), (CA, TOKEN)] {
            let found = Server::find(|name| match name {
                URL => Some("https://host/".to_owned()),
                name => (name == there).then(|| "file".to_owned()),
            });
            assert!(found.unwrap_err().contains(missing));
        }
    }
}
