//! Pictures in memory, and their parts.

/// The most pixels of an image: beyond this number Pillow, too, warns of a decompression bomb.
pub(super) const MOST_PIXELS: u64 = 89_478_485;

/// The reason why an image cannot be decoded: a phrase that follows the file's name.
pub(super) type Fault = String;

/// A rectangle of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// Columns left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

impl Region {
    /// A whole image of this width and height.
    pub fn whole([width, height]: [u32; 2]) -> Self {
        Region { left: 0, top: 0, width, height }
    }
}

/// A decoded image, or the part of it that holds a region.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Red, green and blue of each pixel, row after row from the top: 3 × width × height bytes.
    pub pixels: Vec<u8>,
    /// Width and height of `pixels`.
    pub size: [u32; 2],
    /// The region that was asked for, in the coordinates of `pixels`.
    pub region: Region,
}
