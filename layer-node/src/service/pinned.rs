//! The one stage that a node may become, where the node's owner pins it by a file.

use crate::failure;
use proto::disk::cannot;
use proto::failure::Failure;
use proto::spec::pin::StagePin;
use proto::spec::stage::StageSpec;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest file of a stage: ten times that of a network of the most layers.
const MAX_FILE: u64 = 32 << 20;

/// A stage that is read from a file once, when the node starts.
#[derive(Debug)]
pub struct Pinned {
    file: PathBuf,
    pin: StagePin,
}

impl Pinned {
    /// Reads the stage from `file`.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no stage.
    pub fn open(file: &Path) -> Result<Self, failure::Failure> {
        let text = read(file).map_err(|error| {
            failure::Failure::configuration(cannot(
                "cannot read",
                file,
                &error,
                "give --stage-spec another file",
            ))
        })?;
        let pin = StagePin::parse(&text).map_err(|why| {
            let file = file.display();
            failure::Failure::configuration(format!(
                "{file} pins no stage: {why}; coordinator plan --stage-specs writes such files"
            ))
        })?;
        Ok(Self { file: file.to_owned(), pin })
    }

    /// Refuses every stage but the pinned one.
    ///
    /// # Errors
    /// A refusal that names the first field that differs.
    pub fn check(&self, spec: &StageSpec) -> Result<(), Failure> {
        self.pin.check(spec).map_err(|difference| {
            let file = self.file.display();
            let refusal = Failure::refused(format!(
                "this node becomes only the stage in {file}, where {difference}: give its owner the stage of this run \
                 for --stage-spec, or set the value back"
            ));
            refusal.of(spec.role())
        })
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}
