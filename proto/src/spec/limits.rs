//! Bounds on a stage's specification: a small message on the wire may need much memory.

/// The most layers that one network may have.
pub const MAX_LAYERS: usize = 4096;
/// The most values that one layer takes.
pub const MAX_INPUTS: usize = 1024;
/// The most values that cross one cut.
pub const MAX_VALUES: usize = 1024;
/// The most layers of one stage whose B is on another host.
pub const MAX_SPLIT: usize = 256;
/// The longest name of a layer, in bytes.
pub const MAX_NAME: usize = 128;
/// The longest name of a tensor, in bytes: that of a layer, and which of the layer's values it is.
pub const MAX_TENSOR_NAME: usize = MAX_NAME + 16;
/// The most rows of R for each row of W, under product feedback alignment.
pub const MAX_RATIO: f64 = 1024.0;
/// The most rows of a B that is made orthogonal, which takes time in proportion to their cube.
pub const MAX_ORTHOGONAL: u64 = 4096;
/// The most samples that a microbatch may have.
pub const MAX_MICROBATCH: u32 = 65_536;
