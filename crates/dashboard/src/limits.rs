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
    /// The limit that was lifted in part.
    pub lifted_in_part: Option<LiftFields>,
}

/// A limit of a name or tenant, as forms write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the admin API")]
pub struct LiftFields {
    pub limit: String,
    pub name: String,
}

impl LimitsView {
    fn lead(&self) -> String {
        fill(self.page.t().limits_lead, "ca", &self.directory_url)
    }
}
