//! The pauses of issuance, and the brake on removals: what holds the service back?

use askama::Template;
use dps_admin_api::{Issuance, Pause, PauseScopeName, Removals};

use crate::domains::{Choice, choose};
use crate::html::Html;
use crate::page::{Page, encoded, fill, grouped};

/// The domains of a pause, as forms write them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeFields {
    /// `all`, `tenant` or `domain`.
    pub scope: String,
    /// The tenant or hostname; empty for `all`.
    pub subject: String,
}

/// The effect of an action, shown once above the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuanceNotice {
    /// A pause is in force.
    Paused,
    /// A pause has ended, and its orders are due.
    Resumed,
    /// A pause has ended, and the same request again reaches the orders that still wait.
    ResumedInPart(ScopeFields),
    /// Removals are approved.
    Approved,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "issuance.html")]
pub struct IssuanceView {
    /// The frame.
    pub page: Page,
    /// The pauses and the domains that wait.
    pub issuance: Issuance,
    /// The removals of the day.
    pub removals: Removals,
    /// The pause that the form begins with.
    pub wanted: ScopeFields,
    /// The field of the form that cannot be used, with the remedy.
    pub problem: Option<(String, String)>,
    /// The effect of the last action.
    pub notice: Option<IssuanceNotice>,
}

#[expect(clippy::unused_self, reason = "templates call methods of the view")]
impl IssuanceView {
    fn scopes(&self) -> Vec<Choice> {
        let t = self.page.t();
        let scopes = [
            ("domain", t.scope_domain),
            ("tenant", t.scope_tenant),
            ("all", t.scope_all),
        ];
        choose(&self.wanted.scope, scopes)
    }

    fn scope(&self, pause: &Pause) -> &'static str {
        let t = self.page.t();
        match pause.scope {
            PauseScopeName::All => t.scope_all,
            PauseScopeName::Tenant => t.scope_tenant,
            PauseScopeName::Domain => t.scope_domain,
        }
    }

    /// The name of the scope in forms.
    fn scope_name(&self, pause: &Pause) -> &'static str {
        match pause.scope {
            PauseScopeName::All => "all",
            PauseScopeName::Tenant => "tenant",
            PauseScopeName::Domain => "domain",
        }
    }

    /// The list of the domains that a pause covers.
    fn covered_path(&self, pause: &Pause) -> String {
        let subject = encoded(pause.subject.as_deref().unwrap_or_default());
        match pause.scope {
            PauseScopeName::All => "/domains".to_owned(),
            PauseScopeName::Tenant => format!("/domains?tenant={subject}"),
            PauseScopeName::Domain => format!("/domains/{subject}"),
        }
    }

    /// The numbers of the domains that wait, with a path to each kind that has a list.
    fn waiting(&self) -> Vec<(&'static str, u64, bool)> {
        let t = self.page.t();
        vec![
            (t.paused_first, self.issuance.first, false),
            (t.paused_renewals, self.issuance.renewals, false),
            (t.paused_urgent, self.issuance.urgent, true),
            (t.paused_ended, self.issuance.ended, true),
        ]
    }

    fn soonest(&self) -> Option<Html> {
        let at = self.issuance.soonest_end?;
        Some(self.page.full_time(&at))
    }

    fn removed_today(&self) -> String {
        let t = self.page.t();
        let text = fill(
            t.removed_today,
            "number",
            &grouped(self.removals.removed_today),
        );
        fill(&text, "percent", &self.removals.brake_percent.to_string())
    }
}
