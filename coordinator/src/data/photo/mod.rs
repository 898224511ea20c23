//! Photographs: files that are decoded one at a time, cropped and resized to the network's input.
//!
//! ```text
//! file ──size──▶ View::region ──decode──▶ Part (RGB of the region) ──resize, flip, jitter──▶ 3×crop×crop bytes
//! ```
//!
//! The pixels are those of torchvision's `ImageFolder` with Pillow's `convert("RGB")`, as far as the decoders agree.

mod crop;
mod decode;
mod jitter;
mod jpeg;
mod picture;
mod png;
mod resize;
mod set;
#[cfg(feature = "turbojpeg")]
mod turbo;
mod view;
mod webp;

pub(super) use set::{Files, LARGEST, Photographs};
pub use view::{Random, View};
