//! A status server like Kubeflow Trainer's, and the files that Trainer mounts: it takes what is posted, or does not, in
//! the manner that a test chooses.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The path of a job's status.
pub const PATH: &str = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/lab/trainjobs/demo/status";
/// The token at first.
pub const TOKEN: &str = "first.token";
/// More bytes than the client's bounds and the buffers of a connection take.
const ENDLESS: usize = 256 << 20;

/// The manner in which a server answers.
#[derive(Clone, Debug)]
pub enum Manner {
    /// It takes every status.
    Takes,
    /// It gives this answer.
    Answers(String),
    /// It gives the first answer, and then the second one without end.
    Endless(&'static str, &'static str),
    /// It reads and never answers.
    Hangs,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Post {
    /// The time of its arrival.
    pub at: Instant,
    /// Its head.
    pub head: String,
    /// The token in its head.
    pub token: String,
    /// The field `trainerStatus` of its body.
    pub status: Value,
}

impl Post {
    /// The value of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.status["metrics"].as_array().expect("metrics");
        let metric = metrics.iter().find(|metric| metric["name"] == name);
        let value = metric.unwrap_or_else(|| panic!("{name} in {:?}", self.status))["value"].as_str();
        value.expect("a text").parse().expect("a number")
    }
}

/// The server, and the folder with the token and the CA's certificate.
pub struct StatusServer {
    folder: TempDir,
    port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
    /// The connections so far.
    pub connections: Arc<AtomicUsize>,
    /// The bytes of endless answers that were sent so far.
    pub sent: Arc<AtomicUsize>,
}

impl StatusServer {
    /// A server with the certificate of a CA of its own, for the name `localhost`.
    pub fn new(manner: Manner) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (ca, config) = identity();
        fs::write(folder.path().join("ca.crt"), ca).expect("writable");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server =
            Self { folder, port, posts: Arc::default(), connections: Arc::default(), sent: Arc::default() };
        server.renew(TOKEN);
        let (posts, connections, sent) =
            (server.posts.clone(), server.connections.clone(), server.sent.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, SeqCst);
                let (config, manner, posts, sent) =
                    (config.clone(), manner.clone(), posts.clone(), sent.clone());
                // A client that breaks off ends its thread.
                std::thread::spawn(move || serve(stream, config, &manner, &posts, &sent));
            }
        });
        server
    }

    /// Replaces the token, as the kubelet does: by a file that takes the place of the older one.
    pub fn renew(&self, token: &str) {
        let next = self.file("token.next");
        fs::write(&next, format!("{token}\n")).expect("writable");
        fs::rename(next, self.file("token")).expect("the same folder");
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL with this scheme and host.
    pub fn url(&self, scheme_and_host: &str) -> String {
        format!("{scheme_and_host}:{}{PATH}", self.port)
    }

    /// The variables that Trainer sets.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let path = |name| self.file(name).display().to_string();
        [
            ("KUBEFLOW_TRAINER_SERVER_URL", self.url("https://localhost")),
            ("KUBEFLOW_TRAINER_SERVER_CA_CERT", path("ca.crt")),
            ("KUBEFLOW_TRAINER_SERVER_TOKEN", path("token")),
        ]
    }

    /// The requests so far.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().expect("no panic").clone()
    }
}

/// The certificate of a new CA, and a server's settings with a certificate of that CA.
fn identity() -> (String, Arc<ServerConfig>) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let ca = authority.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(authority, key);
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf.signed_by(&key, &issuer).expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        );
    (ca, Arc::new(config.expect("a pair")))
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    manner: &Manner,
    posts: &Mutex<Vec<Post>>,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let post = read(&mut stream)?;
    posts.lock().expect("no panic").push(post);
    match manner {
        Manner::Takes => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?,
        Manner::Answers(answer) => stream.write_all(answer.as_bytes())?,
        Manner::Endless(first, then) => {
            stream.write_all(first.as_bytes())?;
            while sent.load(SeqCst) < ENDLESS {
                stream.write_all(then.as_bytes())?;
                sent.fetch_add(then.len(), SeqCst);
            }
        }
        Manner::Hangs => {}
    }
    stream.flush()?;
    // Until the client closes.
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Reads one request.
fn read(stream: &mut impl Read) -> std::io::Result<Post> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).expect("a head in ASCII");
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{name} in {head}")).to_owned()
    };
    let mut body = vec![0; field("content-length").parse().expect("a number")];
    stream.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let token = field("authorization").strip_prefix("Bearer ").expect("a bearer's token").to_owned();
    Ok(Post { at: Instant::now(), token, status: body["trainerStatus"].clone(), head })
}
