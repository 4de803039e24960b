//! The tenants: whose domains are these?

use askama::Template;
use dps_admin_api::{CountGroup, Domains, Tenant, TenantDetail, Tenants};
use dps_domain::{Actor, FailureCode, Status};

use crate::html::Html;
use crate::page::{Page, encoded, grouped};

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

/// The domains of a tenant in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRow {
    /// The status.
    pub status: Status,
    /// The code of the last failure, if any.
    pub code: Option<FailureCode>,
    /// Who must act, if anybody must.
    pub actor: Option<Actor>,
    /// Domains.
    pub domains: u64,
}

/// The page of one tenant.
#[derive(Debug, Template)]
#[template(path = "tenant.html")]
pub struct TenantView {
    /// The frame.
    pub page: Page,
    /// The tenant.
    pub tenant: TenantDetail,
    /// Its domains by state.
    pub states: Vec<StateRow>,
    /// Its first domains.
    pub domains: Domains,
}

impl TenantView {
    fn id(&self) -> &str {
        &self.tenant.tenant.tenant_id
    }

    fn total(&self) -> String {
        let more = if self.tenant.tenant.is_complete {
            ""
        } else {
            "+"
        };
        format!("{}{more}", grouped(self.tenant.tenant.domains))
    }

    fn list_path(&self) -> String {
        format!("/domains?tenant={}", encoded(self.id()))
    }

    fn job_path(&self) -> String {
        let filter = format!("tenant={}", encoded(self.id()));
        format!("/jobs/new?filter={}", encoded(&filter))
    }

    fn pause_path(&self) -> String {
        format!("/issuance?scope=tenant&subject={}", encoded(self.id()))
    }

    fn state_path(&self, row: &StateRow) -> String {
        let mut path = format!("{}&status={}", self.list_path(), row.status.as_str());
        if let Some(code) = row.code {
            path.push_str("&code=");
            path.push_str(code.as_str());
        }
        path
    }
}
