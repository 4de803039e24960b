//! Text that is HTML already.

use std::fmt;

use askama::filters::HtmlSafe;

/// HTML that templates do not escape. Only functions of this crate make it, of texts that they
/// escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    pub(crate) const fn new(html: String) -> Self {
        Self(html)
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}
