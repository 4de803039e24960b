//! The tenants: whose domains are these?

use askama::Template;
use dps_admin_api::{CountGroup, Tenant, Tenants};
use dps_domain::Status;

use crate::html::Html;
use crate::page::{Page, grouped};

/// The page.
#[derive(Debug, Template)]
#[template(path = "tenants.html")]
pub struct TenantsView {
    /// The frame.
    pub page: Page,
    /// The tenants; `None` if the place cannot be used.
    pub tenants: Option<Tenants>,
    /// Whether these are the first.
    pub is_first: bool,
}

impl TenantsView {
    /// The status of a group of domains.
    fn status(&self, group: &CountGroup) -> Option<Html> {
        let status: Status = group.key.as_deref()?.parse().ok()?;
        Some(self.page.chip(&status))
    }

    /// The number of domains, with a sign that there may be more.
    #[expect(clippy::unused_self, reason = "templates call methods of the view")]
    fn domains(&self, tenant: &Tenant) -> String {
        let more = if tenant.is_complete { "" } else { "+" };
        format!("{}{more}", grouped(tenant.domains))
    }
}
