//! The turn of one of many processes that share a sweep's folder, to open it and to close it again.

use crate::record::files::{lock, unwritable};
use crate::run_error::{Cause, RunError};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a process waits for its turn. A turn takes moments, so that thousands of processes fit in.
const DEADLINE: Duration = Duration::from_secs(60);
/// The interval between tries.
const LOOK: Duration = Duration::from_millis(20);

/// The turn, until it is dropped. The system ends the turn of a process that ends, however it ends.
pub struct Turn {
    _lock: File,
}

impl Turn {
    /// Makes the folder if it is not there, and waits for the turn in it.
    ///
    /// # Errors
    /// A folder that cannot be written, or a turn that does not come.
    pub async fn wait(folder: &Path) -> Result<Self, RunError> {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        // A file is locked and not the folder: a network file system locks only what is open for writing.
        let path = folder.join("turn.lock");
        let cannot = |error| unwritable(&path, &error);
        let file = File::options().create(true).append(true).open(&path).map_err(cannot)?;
        let begun = Instant::now();
        while !lock(&file).map_err(cannot)? {
            if begun.elapsed() > DEADLINE {
                let why = format!(
                    "another process keeps the sweep in {} to itself ({} is locked): give the same command again",
                    folder.display(),
                    path.display()
                );
                return Err(RunError::new(Cause::Interrupted, why));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Self { _lock: file })
    }
}
