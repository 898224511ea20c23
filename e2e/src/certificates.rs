//! Certificates for tests, right ones and wrong ones.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The deployment of most certificates.
pub const LAB: &str = "lab";
/// The name in the DNS of every certificate.
pub const HOST: &str = "host.example";
const DAY: u64 = 24 * 60 * 60;

/// A CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    /// The file with the CA's certificate.
    pub file: PathBuf,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its URIs.
    pub uris: Vec<String>,
    /// Its first day, counted from today.
    pub from: i64,
    /// Its last day.
    pub until: i64,
    /// Its uses.
    pub uses: Vec<ExtendedKeyUsagePurpose>,
}

impl Leaf {
    /// A stage's certificate, for a server that also dials.
    pub fn stage(index: usize) -> Self {
        Self::of(&format!("neuropil:{LAB}:stage:{index}"))
    }

    /// The certificate of the node with the B of a stage's split layers.
    pub fn backward(index: usize) -> Self {
        Self::of(&format!("neuropil:{LAB}:stage:{index}:backward"))
    }

    /// The coordinator's, for a client alone.
    pub fn coordinator() -> Self {
        let uses = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Self { uses, ..Self::of(&format!("neuropil:{LAB}:coordinator")) }
    }

    /// A certificate with one URI, for servers and clients.
    pub fn of(uri: &str) -> Self {
        let uses = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self { uris: vec![uri.into()], from: -1, until: 90, uses }
    }
}

/// The three files of a process.
#[derive(Clone, Debug)]
pub struct Files {
    /// The CA's certificate.
    pub ca: PathBuf,
    /// The process's certificate.
    pub certificate: PathBuf,
    /// The process's key.
    pub key: PathBuf,
}

impl Files {
    /// The flags of both programs.
    pub fn flags(&self) -> Vec<String> {
        let Self { ca, certificate, key } = self;
        [("--tls-ca", ca), ("--tls-cert", certificate), ("--tls-key", key)]
            .into_iter()
            .flat_map(|(flag, path)| [flag.into(), path.display().to_string()])
            .collect()
    }

    /// The same files for a process that believes another CA.
    #[must_use]
    pub fn believing(self, authority: &Authority) -> Self {
        Self { ca: authority.file.clone(), ..self }
    }
}

impl Authority {
    /// A CA whose files lie in `folder`.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let file = folder.join("ca.pem");
        fs::write(&file, params.self_signed(&key).expect("a certificate").pem()).expect("writable");
        Self { issuer: Issuer::new(params, key), folder: folder.into(), file }
    }

    /// Issues a certificate and writes it to files that begin with `name`.
    pub fn issue(&self, name: &str, leaf: &Leaf) -> Files {
        let mut params = CertificateParams::default();
        let uri = |uri: &String| SanType::URI(uri.as_str().try_into().expect("ASCII"));
        // For other tools; it proves nothing here.
        let host = SanType::DnsName(HOST.try_into().expect("ASCII"));
        params.subject_alt_names = leaf.uris.iter().map(uri).chain([host]).collect();
        params.extended_key_usages = leaf.uses.clone();
        let day = |day: i64| {
            let distance = Duration::from_secs(day.unsigned_abs() * DAY);
            let now = SystemTime::now();
            if day < 0 { now - distance } else { now + distance }.into()
        };
        (params.not_before, params.not_after) = (day(leaf.from), day(leaf.until));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |kind: &str| self.folder.join(format!("{name}.{kind}.pem"));
        let files = Files { ca: self.file.clone(), certificate: path("cert"), key: path("key") };
        fs::write(&files.key, key.serialize_pem()).expect("writable");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("ours");
        fs::write(&files.certificate, certificate.pem()).expect("writable");
        files
    }
}
