//! The folder of certificates: its lock, its contents, and the writing of its files.

use super::component::{self, COMPONENT};
use super::names::{self, CA, CA_KEY};
use super::plan::{Found, Plan};
use super::x509;
use crate::record::files::lock;
use crate::run_error::RunError;
use proto::disk::cannot;
use rcgen::KeyPair;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use x509_parser::pem::parse_x509_pem;

/// The mode of a key: only its owner may read and write it.
const SECRET: u32 = 0o600;
/// The mode of a certificate, from which the process's mask removes bits.
const PUBLIC: u32 = 0o644;
/// The longest file that can be a certificate or a key.
const MAX_FILE: u64 = 1 << 20;

/// A folder that this process has locked.
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

/// A file to write.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) pem: String,
    pub(super) secret: bool,
}

impl Folder {
    /// Makes the folder if it is not there, and locks it.
    ///
    /// # Errors
    /// A folder that cannot be made or opened, or that another process has locked.
    pub(super) fn claim(path: &Path) -> Result<Self, RunError> {
        let made = fs::create_dir_all(path).and_then(|()| File::open(path));
        let handle = made.map_err(|error| {
            RunError::configuration(cannot("cannot open", path, &error, "choose another --out"))
        })?;
        // On a file system without locks the user must make sure that no two processes use the folder.
        if matches!(lock(&handle), Ok(false)) {
            return Err(RunError::configuration(format!(
                "another coordinator makes certificates in {}: wait for its end",
                path.display()
            )));
        }
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Checks that the folder holds a kustomize component whose files exist or will be made.
    ///
    /// # Errors
    /// A folder without a component, or a file of the component that the plan does not make.
    pub(super) fn check_component(&self, plan: &Plan) -> Result<(), RunError> {
        let made = plan.leaves.iter().map(|leaf| &leaf.identity);
        let mut files: BTreeSet<String> =
            made.flat_map(|identity| [names::certificate(identity), names::key(identity)]).collect();
        files.insert(CA.to_owned());
        for entry in fs::read_dir(&self.path).map_err(|error| self.unreadable(&self.path, &error))?.flatten()
        {
            files.extend(entry.file_name().into_string().ok());
        }
        let text = self.read(COMPONENT, false)?;
        component::check(text.as_deref(), &files, &self.path).map_err(|why| {
            RunError::configuration(format!("cannot make certificates in {}: {why}", self.path.display()))
        })
    }

    /// The CA's certificate, and the contents that matter for a plan.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no certificate or key although its name says so.
    pub(super) fn look(&self) -> Result<Found, RunError> {
        let authority = self.certificate(CA)?;
        let key = self.key(CA_KEY)?;
        let mut found = Found {
            key: key.map(|key| authority.as_ref().is_some_and(|der| x509::belongs(&key, der))),
            authority: self.told(CA, authority.as_deref().map(x509::read_authority))?,
            ..Found::default()
        };
        for entry in fs::read_dir(&self.path).map_err(|error| self.unreadable(&self.path, &error))? {
            let name = entry.map_err(|error| self.unreadable(&self.path, &error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let Some((role, is_key)) = names::process_of(name) else { continue };
            let held = found.processes.entry(role).or_default();
            if is_key {
                held.key = self.key(name)?.is_some();
            } else {
                let der = self.certificate(name)?;
                held.certificate = self.told(name, der.as_deref().map(x509::read_certificate))?;
            }
        }
        Ok(found)
    }

    /// The certificate in the file `name`, in DER; `None` if there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, or is no certificate.
    pub(super) fn certificate(&self, name: &str) -> Result<Option<Vec<u8>>, RunError> {
        let Some(text) = self.read(name, false)? else { return Ok(None) };
        let der = parse_x509_pem(text.as_bytes()).ok().map(|(_, pem)| pem);
        let der = der.filter(|pem| pem.label == "CERTIFICATE").map(|pem| pem.contents);
        self.told(
            name,
            Some(der.ok_or_else(|| "is no certificate in PEM: move it away, or put back what it was".into())),
        )
    }

    /// The key in the file `name`; `None` if there is no such file.
    ///
    /// # Errors
    /// A file that cannot be read, that others can read, or that is no key.
    pub(super) fn key(&self, name: &str) -> Result<Option<KeyPair>, RunError> {
        let Some(text) = self.read(name, true)? else { return Ok(None) };
        let key = KeyPair::from_pem(&text);
        self.told(
            name,
            Some(key.map_err(|_| "is no private key in PEM: move it away, or put back what it was".into())),
        )
    }

    /// Writes the files, each to a temporary name first, and makes sure that all are on disk.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn write(&self, files: &[Written]) -> Result<(), RunError> {
        for file in files {
            self.write_one(file).map_err(|error| {
                let path = self.path.join(&file.name);
                RunError::internal(cannot("cannot write", &path, &error, "choose another --out"))
            })?;
        }
        // Without this sync, a crash of the host may bring old files back.
        self.handle.sync_all().map_err(RunError::internal)
    }

    fn write_one(&self, file: &Written) -> io::Result<()> {
        let temporary = self.path.join(format!(".{}.writing", file.name));
        // A call that ended early may have left the temporary file, with another mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = if file.secret { SECRET } else { PUBLIC };
        let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        out.write_all(file.pem.as_bytes())?;
        out.sync_all()?;
        fs::rename(&temporary, self.path.join(&file.name))
    }

    fn read(&self, name: &str, secret: bool) -> Result<Option<String>, RunError> {
        let path = self.path.join(name);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|error| self.unreadable(&path, &error))?,
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let fault = if !metadata.is_file() || metadata.len() > MAX_FILE {
            Some("is no file of this command: move it away".into())
        } else if secret && mode & 0o077 != 0 {
            Some(format!(
                "is a key that others can read (mode {mode:04o}): chmod 600 it, or make it anew if others did read it"
            ))
        } else {
            None
        };
        match fault {
            Some(fault) => self.told(name, Some(Err(fault))),
            None => fs::read_to_string(&path).map(Some).map_err(|error| self.unreadable(&path, &error)),
        }
    }

    /// The sentence for a file with unexpected contents.
    fn told<T>(&self, name: &str, result: Option<Result<T, String>>) -> Result<Option<T>, RunError> {
        result
            .transpose()
            .map_err(|fault| RunError::configuration(format!("{} {fault}", self.path.join(name).display())))
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> RunError {
        RunError::configuration(cannot("cannot read", path, error, "choose another --out"))
    }
}
