//! The dialing end: a connection to one peer, whose identity must be the expected one.

use super::alert::{self, of_tls};
use super::greeting::{Greeted, Greeting, Waiting, lost, refused};
use super::stream::{Secured, linger};
use super::verifier::Verifier;
use super::{ALPN, Kind, Security, Tls};
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::link::Peer;
use crate::transport::address::path_of;
use crate::transport::{socket, unix};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::{ClientConfig, Error, version};
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

/// Connects to `endpoint`, which must be `peer`, and returns the identity that the peer has proved.
///
/// # Errors
/// [`FailureKind::Identity`] where either side refuses the other; [`FailureKind::Address`] where the address is beyond
/// loopback and plaintext must not go there; [`FailureKind::Lost`] for a failure of the network.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    security: &Security,
    peer: &Peer,
) -> Result<(Channel, Option<Identity>), Failure> {
    let (sender, mut greeting) = oneshot::channel();
    // If the host has several addresses, the time is for all of them together.
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(endpoint.get_connect_timeout());
    let connector = Connector { tcp, security: security.clone(), peer: peer.clone(), greeting: Some(sender) };
    match endpoint.connect_with_connector(connector).await {
        Ok(channel) => {
            let gone = |_| lost("the connection was closed at once");
            let identity = greeting.await.map_err(gone)??;
            Ok((channel, identity))
        }
        // The connector's own failure says more than tonic's.
        Err(error) => match greeting.try_recv() {
            Ok(Err(failure)) => Err(failure),
            _ => Err(lost(innermost(&error))),
        },
    }
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    error.source().map_or(error, innermost)
}

/// The way to a peer.
enum Route {
    /// The socket at this path.
    Unix(PathBuf),
    /// The connection that is being opened.
    Tcp(<HttpConnector as Service<Uri>>::Future),
}

/// Opens connections to one peer for tonic, which may open another one where the first is lost.
struct Connector {
    tcp: HttpConnector,
    security: Security,
    peer: Peer,
    /// The sender of the first connection's verdict; none for later connections.
    greeting: Option<oneshot::Sender<Greeting>>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Greeted>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.tcp.poll_ready(cx).map_err(|error| lost(innermost(&error)))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (security, peer, greeting) = (self.security.clone(), self.peer.clone(), self.greeting.take());
        let route = match path_of(peer.address()) {
            Some(path) => Route::Unix(path.to_owned()),
            None => Route::Tcp(self.tcp.call(uri)),
        };
        Box::pin(async move {
            let opened = async {
                match route {
                    Route::Unix(path) => within_host(&security, peer, &path).await,
                    Route::Tcp(connecting) => {
                        let stream = connecting.await.map_err(|error| lost(innermost(&error)))?.into_inner();
                        socket::prepare(&stream);
                        secure(stream, &security, peer).await
                    }
                }
            };
            match (opened.await, greeting) {
                (Ok((stream, waiting)), greeting) => {
                    Ok(TokioIo::new(Greeted::new(stream, waiting, greeting)))
                }
                (Err(failure), greeting) => {
                    greeting.map(|greeting| greeting.send(Err(failure.clone())));
                    Err(failure)
                }
            }
        })
    }
}

/// Connects to the socket of `peer` on this host.
async fn within_host(security: &Security, peer: Peer, path: &Path) -> Result<(Secured, Waiting), Failure> {
    let stream = unix::connect(security, &peer, path).await?;
    Ok((Secured::Unix(stream), Waiting { peer, identity: None, own: None }))
}

/// The handshake with `peer` over `stream`.
pub(super) async fn secure(
    stream: TcpStream,
    security: &Security,
    peer: Peer,
) -> Result<(Secured, Waiting), Failure> {
    match &security.0 {
        Kind::Plaintext { .. } => {
            let address = stream.peer_addr().map_err(lost)?;
            let near = security.check_reach(&peer.to_string(), address.ip());
            near.map_err(|sentence| Failure::new(FailureKind::Address, sentence))?;
            Ok((Secured::Plain(stream), Waiting { peer, identity: None, own: None }))
        }
        Kind::Tls(tls) => shake_hands(stream, tls, peer).await,
    }
}

async fn shake_hands(stream: TcpStream, tls: &Tls, peer: Peer) -> Result<(Secured, Waiting), Failure> {
    let (material, provider) = (tls.files.material(), tls.provider.clone());
    let own = material.certificate.clone();
    let verifier = Arc::new(Verifier {
        material: material.clone(),
        provider: provider.clone(),
        roles: vec![peer.role],
        outcome: OnceLock::new(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| Failure::own(format!("TLS cannot be set up ({error})")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(material.shown.clone());
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    // An address is not sent to the server, and the name proves nothing.
    let name = ServerName::from(stream.peer_addr().map_err(lost)?.ip());
    match TlsConnector::from(Arc::new(config)).connect(name, stream).into_fallible().await {
        Ok(stream) => {
            let identity = verifier.outcome.get().cloned().and_then(Result::ok);
            let stream = Secured::Tls(Box::new(stream.into()));
            Ok((stream, Waiting { peer, identity, own: Some(own) }))
        }
        Err((error, stream)) => {
            linger(stream).await;
            if let Some(Err(refusal)) = verifier.outcome.get() {
                return Err(refused(format!("{peer} {}", refusal.sentence)));
            }
            Err(broken(&peer, &error, |alert| alert::refusal(&own, alert)))
        }
    }
}

/// The failure of a handshake in which this end had nothing against the other end's certificate.
fn broken(
    peer: &Peer,
    error: &io::Error,
    refusal: impl Fn(tokio_rustls::rustls::AlertDescription) -> String,
) -> Failure {
    match of_tls(error) {
        Some(Error::AlertReceived(alert)) => refused(format!("{peer} {}", refusal(*alert))),
        Some(Error::InvalidMessage(_)) => refused(format!(
            "{peer} does not speak TLS, as this program does with its certificate: check the address, or start that node with --tls-ca, --tls-cert and --tls-key"
        )),
        Some(error) => refused(format!("{peer} broke the TLS handshake ({error})")),
        None => lost(error),
    }
}
