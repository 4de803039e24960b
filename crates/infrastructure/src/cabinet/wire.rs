//! Between the wire types and the port's.

use std::collections::HashMap;

use dps_application::ports::cabinet::{CabinetDomain, CabinetError, CabinetPage, StatusReport};
use dps_cabinet_api::{CustomDomain, ItemError, limits, parse_version_tag};
use dps_domain::{DomainId, Failure};
use reqwest::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{error, json};

pub(super) fn domain(domain: CustomDomain) -> CabinetDomain {
    CabinetDomain {
        status: domain.status(),
        id: domain.id,
        tenant_id: domain.tenant_id,
        canonical_host: domain.canonical_host,
        cname_target: domain.cname_target,
        version: domain.version,
    }
}

/// A page without unreadable items and without duplicates: of a domain told twice, the newer version stays.
pub(super) fn page(
    items: impl Iterator<Item = Result<CustomDomain, ItemError>>,
    next: Option<String>,
) -> Result<CabinetPage, CabinetError> {
    if next
        .as_ref()
        .is_some_and(|next| next.len() > limits::MAX_CURSOR_BYTES)
    {
        return Err(error("its cursor is longer than the contract allows".to_owned()));
    }
    let mut domains: Vec<CabinetDomain> = Vec::new();
    let mut places: HashMap<DomainId, usize> = HashMap::new();
    for item in items {
        let found = match item {
            Ok(found) => domain(found),
            Err(unreadable) => {
                let id = unreadable.id.as_deref().unwrap_or("none");
                tracing::warn!(cabinet.item = id, error = %unreadable.source, "the Cabinet sent an item that cannot be read; it is left out");
                continue;
            }
        };
        match places.get(&found.id).and_then(|place| domains.get_mut(*place)) {
            Some(known) if known.version <= found.version => *known = found,
            Some(_) => {}
            None => {
                places.insert(found.id, domains.len());
                domains.push(found);
            }
        }
    }
    Ok(CabinetPage { domains, next })
}

pub(super) fn report(report: &StatusReport) -> dps_cabinet_api::StatusReport {
    dps_cabinet_api::StatusReport {
        status: report.status,
        last_error_code: report
            .failure
            .as_ref()
            .map(|failure| failure.code().as_str().to_owned()),
        last_error_message: report.message.as_deref().map(storable),
        error_details: report.failure.as_ref().and_then(details),
        next_attempt_at: report.next_attempt_at,
        certificate_not_after: report.certificate_not_after,
    }
    .within_limits()
}

/// Texts of other parties may hold NUL, which some databases cannot store; the Cabinet would refuse the report for ever.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

fn details(failure: &Failure) -> Option<Map<String, Value>> {
    match serde_json::to_value(failure) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// The version after a report: from the entity tag, else from the domain in the body.
pub(super) async fn version(answer: Response, limit: usize) -> Result<u64, CabinetError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let tag = answer.headers().get(http::header::ETAG);
    if let Some(version) = tag.and_then(|tag| parse_version_tag(tag.to_str().ok()?)) {
        return Ok(version);
    }
    json(answer, limit).await.map(|Versioned { version }| version)
}
