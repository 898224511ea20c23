//! Pictures as PNG: the SVG of a figure, drawn with one font that the program brings along.

use crate::run_error::RunError;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};
use std::sync::Arc;

/// Pixels of the picture for each of the figure's: 96 · 3 = 288 in an inch.
const SCALE: f32 = 3.0;
/// The font, so that a host's own fonts do not change the picture.
const FONT: &str = "DejaVu Sans";

/// The PNG of an SVG that [`super::svg`] has made.
///
/// # Errors
/// A picture that cannot be drawn.
pub fn png(svg: &str) -> Result<Vec<u8>, RunError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.set_sans_serif_family(FONT);
    let options = Options { font_family: FONT.to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    let failed =
        |why: String| RunError::internal(format!("a figure cannot be drawn as PNG ({why}): use --svg"));
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size =
        tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| failed("it is too large".to_owned()))?;
    let mut picture =
        Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("it is too large".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut picture.as_mut());
    picture.encode_png().map_err(|error| failed(error.to_string()))
}
