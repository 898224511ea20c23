//! One request to the status server: HTTP/1.1 in TLS 1.3, on a connection of its own.
//!
//! The server's certificate must be issued by the CA in the given file, for the name in the URL. The CAs of the system
//! do not count, since the server's CA is the cluster's own. A redirect is not followed, since the token is for this
//! server. Proxies in the environment are not used, since the server is in the cluster. Whatever the server answers, a
//! request takes a bounded time and reads a bounded answer.

use super::server::Server;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fs::{self, File};
use std::future::poll_fn;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};
use tokio_util::task::AbortOnDropHandle;

/// How long a request may take, as in Kubeflow's own client.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest token; a service account's has about a kilobyte.
const TOKEN: u64 = 64 << 10;
/// The largest file of certificates, which is also the largest ConfigMap.
const CERTIFICATES: u64 = 1 << 20;
/// The largest head of an answer.
const HEAD: usize = 16 << 10;
/// The most fields of an answer's head.
const FIELDS: usize = 64;
/// The bytes of a refusal's body after which no more are read.
const BODY: usize = 4 << 10;
/// The most characters of a refusal's message that are shown.
const MESSAGE: usize = 200;

/// The kinds of failures, each of which is logged once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The file of the token.
    Token,
    /// The file of the CA's certificates.
    Certificates,
    /// No connection.
    Unreachable,
    /// No TLS on the connection, or the certificate of another server.
    Tls,
    /// The answer did not come in time.
    Slow,
    /// An answer that is not HTTP, or that breaks off.
    Broken,
    /// An answer other than success, by its status.
    Refused(u16),
}

/// A status that was not taken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The kind.
    pub kind: Kind,
    /// What happened, without a full stop.
    pub sentence: String,
}

impl Failure {
    fn new(kind: Kind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into() }
    }
}

/// Posts a status.
///
/// # Errors
/// The reason why the server did not take it.
pub async fn post(server: &Server, body: String) -> Result<(), Failure> {
    let of = server.clone();
    // This waits for a file system that hangs, since a second reader would need a second thread.
    let read = tokio::task::spawn_blocking(move || Ok((token(&of.token)?, authorities(&of.ca)?))).await;
    let (token, authorities) = read
        .unwrap_or_else(|_| Err(Failure::new(Kind::Token, "the reader of the token and the CA panicked")))?;
    let slow = || Failure::new(Kind::Slow, format!("no answer within {} s", DEADLINE.as_secs()));
    let exchange = exchange(server, token, authorities, body);
    timeout(DEADLINE, exchange).await.unwrap_or_else(|_| Err(slow()))
}

/// The field of the head that has the token.
fn token(path: &Path) -> Result<HeaderValue, Failure> {
    let cannot = |why: &str| {
        Failure::new(Kind::Token, format!("the token in {} cannot be used: {why}", path.display()))
    };
    let bytes = read(path, TOKEN).map_err(|error| cannot(&error.to_string()))?;
    let token = bytes.trim_ascii();
    if token.is_empty() {
        return Err(cannot("the file is empty"));
    }
    let field = HeaderValue::from_bytes(&[b"Bearer ", token].concat());
    let mut field = field.map_err(|_| cannot("it holds characters that no head of a request may have"))?;
    field.set_sensitive(true);
    Ok(field)
}

/// The CAs that may have issued the server's certificate.
fn authorities(path: &Path) -> Result<RootCertStore, Failure> {
    let cannot = |why: &str| {
        let sentence = format!("the CA's certificates in {} cannot be used: {why}", path.display());
        Failure::new(Kind::Certificates, sentence)
    };
    let pem = read(path, CERTIFICATES).map_err(|error| cannot(&error.to_string()))?;
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if authorities.is_empty() {
        return Err(cannot("the file holds no certificate in PEM"));
    }
    Ok(authorities)
}

/// The bytes of a file. The file must be a regular one, since opening a pipe could wait for ever.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other(format!("it has more than {limit} bytes"))),
        false => Ok(bytes),
    }
}

async fn exchange(
    server: &Server,
    token: HeaderValue,
    authorities: RootCertStore,
    body: String,
) -> Result<(), Failure> {
    let stream = connect(server, authorities).await?;
    let request = Request::post(&server.path)
        .header(HOST, server.authority.as_str())
        .header(AUTHORIZATION, token)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("neuropil/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(body);
    let broken = |error: hyper::Error| Failure::new(Kind::Broken, format!("no whole answer ({error})"));
    let request = request.map_err(|error| Failure::new(Kind::Broken, format!("no request ({error})")))?;
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD).max_headers(FIELDS);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(broken)?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(refused(status, &beginning(answer.into_body()).await)),
    }
}

async fn connect(server: &Server, authorities: RootCertStore) -> Result<TlsStream<TcpStream>, Failure> {
    let tls = |error: &dyn std::fmt::Display| Failure::new(Kind::Tls, format!("no TLS with it ({error})"));
    let name = ServerName::try_from(server.host.clone()).map_err(|error| tls(&error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| tls(&error))?;
    let mut config = config.with_root_certificates(authorities).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await;
    let unreachable = |error| Failure::new(Kind::Unreachable, format!("no connection ({error})"));
    let stream = stream.map_err(unreachable)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| tls(&error))
}

/// The first bytes of a body; fewer if the answer breaks off.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < BODY {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => {
                let data: Bytes = frame.into_data().unwrap_or_default();
                bytes.extend_from_slice(&data[..data.len().min(BODY - bytes.len())]);
            }
            Some(Err(_)) | None => break,
        }
    }
    bytes
}

/// The failure behind an answer. Trainer puts its reason into the field `message`.
fn refused(status: StatusCode, body: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let message: String = body["message"].as_str().unwrap_or_default().chars().take(MESSAGE).collect();
    let why = match message.is_empty() {
        _ if status.is_redirection() => {
            ": a redirect is not followed, as the token is for this server".into()
        }
        true => String::new(),
        false => format!(": \"{}\"", message.escape_debug()),
    };
    Failure::new(Kind::Refused(status.as_u16()), format!("the answer {status}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_without_its_line_end_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "abc.def\n").unwrap();
        let field = token(&path).unwrap();
        assert_eq!(field.as_bytes(), b"Bearer abc.def");
        assert!(!format!("{field:?}").contains("abc"), "{field:?}");
        let long = "x".repeat(TOKEN as usize + 1);
        for (bytes, why) in [(" \n", "empty"), ("secret\nline", "no head"), (&long, "more than 65536 bytes")]
        {
            fs::write(&path, bytes).unwrap();
            let failure = token(&path).unwrap_err();
            assert!(failure.kind == Kind::Token && failure.sentence.contains(why), "{failure:?}");
            assert!(!failure.sentence.contains("secret"), "{failure:?}");
        }
        assert!(token(folder.path()).unwrap_err().sentence.contains("not a file"));
        assert_eq!(token(&folder.path().join("none")).unwrap_err().kind, Kind::Token);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&path, text).unwrap();
            let failure = authorities(&path).unwrap_err();
            assert!(
                failure.kind == Kind::Certificates && failure.sentence.contains("no certificate"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_refusal_says_the_servers_reason_on_one_short_line() {
        let said = |status: u16, body: &str| {
            let failure = refused(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(failure.kind, Kind::Refused(status));
            failure.sentence
        };
        let of_trainer =
            r#"{"status":"Failure","message":"Train job not found","reason":"NotFound","code":404}"#;
        assert_eq!(said(404, of_trainer), "the answer 404 Not Found: \"Train job not found\"");
        assert_eq!(said(500, "<html>"), "the answer 500 Internal Server Error");
        assert!(said(307, of_trainer).contains("a redirect is not followed"));
        let hostile = format!(r#"{{"message":"\u001b[2J\n{}"}}"#, "x".repeat(10_000));
        let said = said(403, &hostile);
        assert!(said.chars().count() < 300 && !said.contains(['\n', '\u{1b}']), "{said}");
    }
}
