//! The list of domains.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dps_application::ports::fleet_view::FleetCounts;
use dps_dashboard::{DomainsView, Facet, FilterFields, Section};
use dps_domain::{Actor, FailureCode, Status};
use serde::Deserialize;

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::fleet::{FleetQuery, page};
use crate::admin::params::query;
use crate::admin::problem::Refusal;

/// Domains of a page.
const PAGE: u32 = 50;

/// The query of the page. The form sends every field, so an empty one is no wish.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Asked {
    q: String,
    r#match: String,
    tenant: String,
    status: String,
    code: String,
    actor: String,
    expires_within: String,
    edge: String,
    edge_pending: String,
    after: String,
}

impl Asked {
    /// The query of an address of the list.
    pub(super) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let asked: Self = query(uri)?;
        let known_match = ["", "containing", "name", "prefix", "suffix"].contains(&&*asked.r#match);
        if known_match {
            Ok(asked)
        } else {
            let remedy = "give containing, name, prefix or suffix";
            Err(Refusal::field("match", remedy))
        }
    }

    pub(super) fn wanted(&self) -> FleetQuery {
        let given = |text: &str| {
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let name = |parameter: &str| {
            let chosen = if self.r#match.is_empty() {
                "containing"
            } else {
                &self.r#match
            };
            given(&self.q).filter(|_| chosen == parameter)
        };
        FleetQuery {
            containing: name("containing"),
            name: name("name"),
            prefix: name("prefix"),
            suffix: name("suffix"),
            tenant: given(&self.tenant),
            status: given(&self.status),
            code: given(&self.code),
            actor: given(&self.actor),
            expires_within: given(&self.expires_within),
            edge: given(&self.edge),
            edge_pending: given(&self.edge_pending),
            limit: Some(PAGE),
            after: given(&self.after),
            by: None,
        }
    }

    pub(super) fn fields(self) -> FilterFields {
        FilterFields {
            q: self.q,
            r#match: self.r#match,
            tenant: self.tenant,
            status: self.status,
            code: self.code,
            actor: self.actor,
            expires_within: self.expires_within,
            edge: self.edge,
            edge_pending: self.edge_pending,
        }
    }
}

/// Shows a page of the wanted domains. A filter or a place that cannot be used is said above the
/// form.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked = Asked::of(&uri)?;
    let (domains, problem) = match page(&app, &asked.wanted()).await {
        Ok(domains) => (Some(domains), None),
        Err(refusal) => (None, Some(refusal.into_field()?)),
    };
    let counts = app.store.fleet_counts().await?;
    let edges = app.store.edges().await?;
    let is_first = asked.after.is_empty();
    let filter = asked.fields();
    let is_refused = problem.is_some();
    let mut response = rendered(&DomainsView {
        page: frame.within(Section::Domains),
        facets: facets(&filter, counts.as_ref()),
        filter,
        domains,
        problem,
        is_first,
        edges: edges.into_iter().map(|edge| edge.name).collect(),
    });
    if is_refused {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}

/// The statuses with the number of domains that the rest of the filter leaves of each, where the
/// kept counts know it.
fn facets(filter: &FilterFields, counts: Option<&FleetCounts>) -> Vec<Facet> {
    let counts = counts.filter(|_| filter.is_of_state());
    let count = |status: Option<Status>| {
        let wanted = counts?.counts.iter().filter(|count| {
            let state = count.state;
            status.is_none_or(|status| status == state.status)
                && is_wanted(&filter.code, state.code.map(FailureCode::as_str))
                && is_wanted(&filter.actor, state.actor.map(Actor::as_str))
        });
        Some(wanted.map(|count| count.domains).sum())
    };
    let statuses = std::iter::once(None).chain(Status::ALL.map(Some));
    let facet = |status| Facet {
        status,
        domains: count(status),
    };
    statuses.map(facet).collect()
}

fn is_wanted(wanted: &str, found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}
