//! Certificates by their end: will anything expire?

use askama::Template;
use dps_admin_api::Domains;

use crate::page::Page;

/// The number of certificates that end within a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingDay {
    /// The time, as the filter of the list writes it.
    pub within: &'static str,
    /// Certificates.
    pub domains: u64,
    /// Whether there are more than were counted.
    pub is_least: bool,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "renewals.html")]
pub struct Renewals {
    /// The frame.
    pub page: Page,
    /// Certificates that end soon, by time.
    pub ending: Vec<EndingDay>,
    /// The domains whose certificates end first.
    pub soonest: Domains,
}
