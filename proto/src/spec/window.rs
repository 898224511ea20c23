//! Square windows that move over a plane.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// A square pooling window. A window with kernel 0 is the whole plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Written")]
pub struct Window {
    /// Side of the window.
    pub kernel: u32,
    /// Step of the window.
    pub stride: u32,
    /// Padding around x, less than the kernel by half at least.
    pub padding: u32,
}

/// A pooling window in a configuration. A window without a key is the whole plane.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stride: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<u32>,
}

impl Window {
    /// The whole plane.
    pub const PLANE: Window = Window { kernel: 0, stride: 1, padding: 0 };

    /// The number of windows that fit side by side.
    pub(super) fn count(self, size: u64) -> Result<u64, String> {
        let Window { kernel, stride, padding } = self;
        let padded = size + 2 * u64::from(padding);
        if kernel == 0 || stride == 0 || u64::from(kernel) > padded {
            return Err(format!("cannot move a window of {kernel} by {stride} over {padded} pixels"));
        }
        Ok((padded - u64::from(kernel)) / u64::from(stride) + 1)
    }

    /// Reads a window that needs a kernel.
    pub(super) fn with_kernel<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Self::or_plane(deserializer)? {
            Window { kernel: 0, .. } => Err(D::Error::missing_field("kernel")),
            window => Ok(window),
        }
    }

    /// Reads a window that is the whole plane without a kernel. Windows lie side by side unless the
    /// configuration gives a stride.
    pub(super) fn or_plane<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { kernel, stride, padding } = Written::deserialize(deserializer)?;
        let window =
            |kernel| Window { kernel, stride: stride.unwrap_or(kernel), padding: padding.unwrap_or(0) };
        Ok(kernel.map_or(Window::PLANE, window))
    }
}

impl From<Window> for Written {
    fn from(Window { kernel, stride, padding }: Window) -> Self {
        match kernel {
            0 => Self::default(),
            _ => Self { kernel: Some(kernel), stride: Some(stride), padding: Some(padding) },
        }
    }
}
