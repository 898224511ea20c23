//! The user's order for manifests.

use super::names::{ClaimName, Image, RunName};
use crate::weights::{Backward, PartsId};
use std::path::PathBuf;
use std::str::FromStr;

/// The user's order, beside the configuration.
#[derive(Clone, Debug)]
pub struct Order {
    /// The folder of the files.
    pub out: PathBuf,
    /// The run's name: a label of all objects, and the run's folder in the coordinator's volume.
    pub name: Option<RunName>,
    /// The name of the configuration's file without its extension, from which an unnamed run has its name.
    pub stem: String,
    /// The image of all containers.
    pub image: Image,
    /// Where the coordinator finds the data.
    pub data: DataVolume,
    /// Whether each node has a GPU.
    pub gpu: bool,
    /// The parts that the nodes begin from; `None` for the seed.
    pub init: Option<PartsId>,
    /// The B that `coordinator split` was told for these parts.
    pub backward: Option<Backward>,
}

/// Where the coordinator finds the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataVolume {
    /// Within the image.
    #[default]
    Image,
    /// In an existing PersistentVolumeClaim, mounted read-only.
    Claim(ClaimName),
    /// In a volume that is empty until a patch's init container fills it.
    EmptyDir,
}

impl DataVolume {
    /// Whether the data is on a volume.
    pub fn is_mounted(&self) -> bool {
        *self != DataVolume::Image
    }
}

/// The word for a volume that begins empty.
const EMPTY_DIR: &str = "emptyDir";

impl FromStr for DataVolume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            EMPTY_DIR => Ok(DataVolume::EmptyDir),
            name => {
                name.parse().map(DataVolume::Claim).map_err(|why: String| format!("{why}, or {EMPTY_DIR}"))
            }
        }
    }
}
