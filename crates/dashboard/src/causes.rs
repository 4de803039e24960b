//! The causes of failures: what goes wrong?

use askama::Template;
use dps_admin_api::Fleet;

use crate::page::Page;

/// The page.
#[derive(Debug, Template)]
#[template(path = "causes.html")]
pub struct Causes {
    /// The frame.
    pub page: Page,
    /// The counts.
    pub fleet: Fleet,
}
