//! The sockets of local nodes: in a folder of the run that only this user can enter, under a path that is short enough,
//! and gone with the run.

use super::rooms::temporary_places;
use crate::prepare::file_stem;
use crate::run_error::RunError;
use proto::link::Role;
use proto::transport::address::{SOCKET_FOLDER, check_path, of_path};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The planes of a node, each the name of its flag and the end of its socket's name.
pub(super) const PLANES: [&str; 3] = ["listen", "control", "health"];

/// The folder of the sockets, which is removed with this handle.
pub(super) struct Sockets(TempDir);

impl Sockets {
    /// A new folder for the nodes of these roles. It lies in `own`, where the nodes' logs are, if no folder for temporary
    /// files takes it: a container often has none. Folders that a killed run left in `own` are removed.
    ///
    /// # Errors
    /// No folder takes sockets, or all paths are too long.
    pub fn make(roles: &[Role], own: &Path) -> Result<Self, RunError> {
        sweep(own);
        let mut whys = Vec::new();
        for base in temporary_places().chain(std::path::absolute(own)) {
            match Self::within(&base, roles) {
                Ok(sockets) => return Ok(sockets),
                Err(why) => whys.push(format!("{} {why}", base.display())),
            }
        }
        Err(RunError::internal(format!(
            "there is no folder for the sockets of the local nodes ({}): set TMPDIR to a short folder that can be written",
            whys.join("; ")
        )))
    }

    /// As [`Sockets::make`], within `base`; the error is the rest of a sentence that begins with it.
    fn within(base: &Path, roles: &[Role]) -> Result<Self, String> {
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(SOCKET_FOLDER).permissions(private).tempdir_in(base);
        let sockets = Self(folder.map_err(|error| format!("takes no folder ({error})"))?);
        for (role, plane) in roles.iter().flat_map(|role| PLANES.map(|plane| (*role, plane))) {
            let path = sockets.path(role, plane);
            check_path(&path).map_err(|why| format!("is too deep ({} {why})", path.display()))?;
        }
        let tried = sockets.0.path().join("0");
        UnixListener::bind(&tried).map_err(|error| format!("takes no socket ({error})"))?;
        let _ = fs::remove_file(tried);
        Ok(sockets)
    }

    /// The address of a node on a plane.
    pub fn address(&self, role: Role, plane: &str) -> String {
        of_path(&self.path(role, plane))
    }

    fn path(&self, role: Role, plane: &str) -> PathBuf {
        // The sentence that names the address says that the number is a stage's.
        let stem = file_stem(role);
        self.0.path().join(format!("{}.{plane}", stem.trim_start_matches("stage-")))
    }
}

/// Removes the folders of sockets in `own`: the run's lock says that no other process works for the run.
fn sweep(own: &Path) {
    let Ok(entries) = fs::read_dir(own) else { return };
    let left = entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(SOCKET_FOLDER.as_bytes()));
    left.for_each(|entry| _ = fs::remove_dir_all(entry.path()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_goes_with_its_handle() {
        let own = tempfile::tempdir().unwrap();
        let left = own.path().join(format!("{SOCKET_FOLDER}left"));
        fs::create_dir(&left).unwrap();
        let sockets = Sockets::make(&[Role::Stage(0), Role::Backward(1000)], own.path()).unwrap();
        assert!(!left.exists(), "a killed run left it");
        let folder = sockets.0.path().to_owned();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        let address = sockets.address(Role::Backward(1000), "control");
        assert!(address.starts_with("unix:/") && address.ends_with("/1000-backward.control"), "{address}");
        let _left = UnixListener::bind(sockets.path(Role::Stage(0), "listen")).unwrap();
        drop(sockets);
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_that_is_too_deep_or_takes_nothing_is_named() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a".repeat(60)).join("b".repeat(60));
        fs::create_dir_all(&deep).unwrap();
        let refused = |base: &Path| Sockets::within(base, &[Role::Stage(0)]).err().unwrap();
        assert!(refused(&deep).contains("is too deep") && refused(&deep).contains("choose a shorter folder"));
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
        assert!(refused(Path::new("/nowhere")).contains("takes no folder"));
    }
}
