//! The system: is the service itself well?

use askama::Template;
use dps_admin_api::System;

use crate::page::Page;

/// The page.
#[derive(Debug, Template)]
#[template(path = "system.html")]
pub struct SystemView {
    /// The frame.
    pub page: Page,
    /// The system.
    pub system: System,
}

#[expect(
    clippy::ref_option,
    reason = "templates call methods of the view, with references"
)]
impl SystemView {
    fn secrets(&self, counted: &Option<u64>) -> String {
        let not_counted = || self.page.t().not_counted.to_owned();
        counted.map_or_else(not_counted, |counted| self.page.number(&counted))
    }
}
