//! Charts as SVG. Nothing here knows what is drawn.
//!
//! A [`Page`] is a report that stands alone, with its colours in it. A [`Figure`] is a part of a
//! web page: it has classes instead of colours, so that a style sheet gives it the page's theme. It
//! has a title and a description for those who do not see it.

mod axis;
mod figure;
mod page;
mod svg;

pub use axis::Scale;
pub use figure::{Bar, Curve, Figure, Shape};
pub use page::{Line, Page, Panel};
