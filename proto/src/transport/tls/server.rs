//! The accepting end: the beginning of a connection, up to the identity of its caller.

use super::alert::{self, of_tls};
use super::material::Material;
use super::stream::{Secured, linger};
use super::verifier::Verifier;
use super::{ALPN, Callers, Kind, Tls};
use crate::identity::Identity;
use crate::transport::listener::Accepted;
use crate::transport::unix::check_user;
use std::io;
use std::sync::{Arc, OnceLock};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{Error, ServerConfig, version};

/// The first byte of TLS: a record that carries a handshake.
const HANDSHAKE: u8 = 22;
/// The answer of a plaintext port to TLS. It is not valid TLS, so the client notices at once.
const NO_TLS: &[u8] = b"plaintext is spoken here\n";

/// A connection that was refused before its caller was known.
pub(crate) struct Stranger {
    /// The rest of a sentence that begins with the address of the stranger; `None` for a connection that said nothing.
    pub why: Option<String>,
    stream: Option<TcpStream>,
}

impl Stranger {
    fn said(why: String, stream: TcpStream) -> Self {
        Self { why: Some(why), stream: Some(stream) }
    }

    /// Ends the connection, so that the other side can read why.
    pub async fn dismiss(self) {
        if let Some(stream) = self.stream {
            linger(stream).await;
        }
    }
}

impl From<io::Error> for Stranger {
    fn from(_: io::Error) -> Self {
        Self { why: None, stream: None }
    }
}

/// Receives a connection: in TLS, up to the verified identity of the caller; in plaintext, up to the first byte; within
/// this host, once the system has told the caller's user.
pub(crate) async fn receive(
    stream: Accepted,
    callers: &Callers,
) -> Result<(Secured, Option<Identity>), Stranger> {
    let stream = match stream {
        Accepted::Tcp(stream) => stream,
        Accepted::Unix(stream) => {
            let refused = |why| Stranger { why: Some(why), stream: None };
            return check_user(&stream).map(|()| (Secured::Unix(stream), None)).map_err(refused);
        }
    };
    match &callers.security.0 {
        Kind::Plaintext { .. } => plain(stream, callers).await,
        Kind::Tls(tls) => shake_hands(stream, tls, callers).await,
    }
}

async fn plain(mut stream: TcpStream, callers: &Callers) -> Result<(Secured, Option<Identity>), Stranger> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(Stranger { why: None, stream: Some(stream) });
    }
    if first == [HANDSHAKE] {
        let _ = stream.write_all(NO_TLS).await;
        let why = match callers.roles.is_empty() {
            true => "speaks TLS to a port that always speaks plaintext",
            false => {
                "speaks TLS to a port that speaks plaintext: give both programs certificates, or neither"
            }
        };
        return Err(Stranger::said(why.into(), stream));
    }
    Ok((Secured::Plain(stream), None))
}

async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    callers: &Callers,
) -> Result<(Secured, Option<Identity>), Stranger> {
    let material = tls.files.material();
    let verifier = Arc::new(Verifier {
        material: material.clone(),
        provider: tls.provider.clone(),
        roles: callers.roles.clone(),
        outcome: OnceLock::new(),
    });
    let config = match config(&material, verifier.clone(), tls.aes) {
        Ok(config) => config,
        Err(error) => return Err(Stranger::said(format!("meets a port without TLS ({error})"), stream)),
    };
    match TlsAcceptor::from(Arc::new(config)).accept(stream).into_fallible().await {
        Ok(stream) => {
            let identity = verifier.outcome.get().cloned().and_then(Result::ok);
            Ok((Secured::Tls(Box::new(stream.into())), identity))
        }
        Err((error, stream)) => {
            let refusal = verifier.outcome.get().and_then(|outcome| outcome.as_ref().err());
            let why = refusal.map(|refusal| refusal.sentence.clone()).or_else(|| broken(&error, &material));
            Err(Stranger { why, stream: Some(stream) })
        }
    }
}

fn config(material: &Material, verifier: Arc<Verifier>, aes: bool) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(verifier.provider.clone())
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(material.shown.clone());
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A client without instructions for AES asks for another cipher itself.
    config.ignore_client_order = !aes;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The reason for which a handshake ended, if this end did not refuse the other end's certificate; `None` if the
/// network failed.
fn broken(error: &io::Error, material: &Material) -> Option<String> {
    Some(match of_tls(error)? {
        Error::AlertReceived(alert) => alert::refusal(&material.certificate, *alert),
        Error::NoCertificatesPresented => {
            "shows no certificate: it needs --tls-ca, --tls-cert and --tls-key".into()
        }
        Error::InvalidMessage(_) => {
            "does not speak TLS, as this port does: it needs --tls-ca, --tls-cert and --tls-key".into()
        }
        error => format!("broke the TLS handshake ({error})"),
    })
}
