//! The files of this process's credentials, which are read again when they change: a renewed certificate needs no
//! restart.

use super::Credentials;
use super::material::Material;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::crypto::CryptoProvider;

/// The time for which a check of the files counts: many connections may arrive in a second.
const LOOK: Duration = Duration::from_secs(1);

/// The marks that tell a file from its successor; `None` for a file without metadata.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

/// The credentials' files, and their last usable contents.
pub(super) struct Files {
    credentials: Credentials,
    provider: Arc<CryptoProvider>,
    current: Mutex<Current>,
}

struct Current {
    material: Arc<Material>,
    stamps: [Stamp; 3],
    looked: Instant,
}

impl Files {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// A sentence that names the file and its flag.
    pub fn open(credentials: Credentials, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        // The marks are taken before the contents are read, so that a change in between is noticed later.
        let stamps = stamps(&credentials);
        let material = Arc::new(Material::read(&credentials, &provider)?);
        let current = Mutex::new(Current { material, stamps, looked: Instant::now() });
        Ok(Self { credentials, provider, current })
    }

    /// The contents of the files, or their last usable contents if they hold nothing usable now.
    pub fn material(&self) -> Arc<Material> {
        let mut current = self.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let stamps = stamps(&self.credentials);
            if stamps != current.stamps {
                current.stamps = stamps;
                self.renew(&mut current.material);
            }
        }
        current.material.clone()
    }

    fn renew(&self, material: &mut Arc<Material>) {
        match Material::read(&self.credentials, &self.provider) {
            Ok(new) if new.identity == material.identity => {
                tracing::info!("the TLS files have changed: new connections use {}", new.certificate);
                *material = Arc::new(new);
            }
            Ok(new) => tracing::warn!(
                "the TLS files have changed and name {}, and this process is {}: the old ones stay in use until a restart",
                new.identity,
                material.identity
            ),
            Err(why) => tracing::warn!("the TLS files have changed, but the old ones stay in use: {why}"),
        }
    }
}

fn stamps(files: &Credentials) -> [Stamp; 3] {
    [&files.ca, &files.certificate, &files.key].map(|path| stamp(path))
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}
