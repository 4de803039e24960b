//! The limits of the CA: what may we still order?

use askama::Template;
use dps_admin_api::Limit;

use crate::overview::Headroom;
use crate::page::{Page, fill};

/// The page.
#[derive(Debug, Template)]
#[template(path = "limits.html")]
pub struct LimitsView {
    /// The frame.
    pub page: Page,
    /// The CA's directory.
    pub directory_url: String,
    /// The limits of the account, used or not.
    pub of_account: Vec<Headroom>,
    /// Limits of names and tenants that are used in part or waited for.
    pub of_names: Vec<Limit>,
    /// The place at which the list continues; `None` at its end.
    pub next: Option<String>,
    /// Whether a limit has just been lifted.
    pub is_lifted: bool,
}

impl LimitsView {
    fn lead(&self) -> String {
        fill(self.page.t().limits_lead, "ca", &self.directory_url)
    }
}
