//! Parts of SVG text.

use std::fmt::Write as _;

/// Appends to a text.
pub(crate) fn put(text: &mut String, part: &str) {
    // Writing to a String cannot fail.
    let _ = text.write_str(part);
}

pub(crate) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
