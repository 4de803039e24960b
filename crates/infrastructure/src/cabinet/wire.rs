//! Between the wire types and the port's.

use std::collections::HashMap;

use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetPage, RefusedItem, ReportAnswer, StatusReport,
};
use dps_cabinet_api::{DomainEntry, OwnershipVerification, limits, parse_version_tag, read_domain};
use dps_domain::{DomainId, Failure};
use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::answer::{error, json};

pub(super) fn domain(entry: DomainEntry) -> CabinetDomain {
    CabinetDomain {
        id: entry.id,
        tenant_id: entry.tenant_id,
        canonical_host: entry.canonical_host.as_str().into(),
        cname_target: entry.cname_target.as_str().into(),
        status: entry.status,
        version: entry.version,
    }
}

/// Reads a page without duplicates: of a domain listed twice, the newer version is kept. Unusable
/// items are returned separately.
pub(super) fn page(
    items: &[Box<RawValue>],
    next: Option<String>,
) -> Result<CabinetPage, CabinetError> {
    if let Some(next) = &next {
        check_cursor(next)?;
    }
    let mut page = CabinetPage {
        next,
        ..CabinetPage::default()
    };
    let mut places: HashMap<DomainId, usize> = HashMap::new();
    for item in items {
        let found = match read_domain(item) {
            Ok(entry) => domain(entry),
            Err(unusable) => {
                page.refused.push(RefusedItem {
                    id: unusable.id,
                    field: unusable.field,
                    value: unusable.value,
                    reason: unusable.reason,
                });
                continue;
            }
        };
        match places
            .get(&found.id)
            .and_then(|place| page.domains.get_mut(*place))
        {
            Some(known) if known.version <= found.version => *known = found,
            Some(_) => {}
            None => {
                places.insert(found.id, page.domains.len());
                page.domains.push(found);
            }
        }
    }
    Ok(page)
}

/// A cursor is kept in the store, so it must be text that every database takes.
fn check_cursor(cursor: &str) -> Result<(), CabinetError> {
    if cursor.len() > limits::MAX_CURSOR_BYTES {
        return Err(error(
            "its cursor is longer than the contract allows".to_owned(),
        ));
    }
    if cursor.chars().any(|c| c.is_control() || c == '\u{fffd}') {
        return Err(error(
            "its cursor holds control characters or broken text".to_owned(),
        ));
    }
    Ok(())
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
        ownership_verification: report
            .proof
            .as_ref()
            .map(|proof| OwnershipVerification::txt(&proof.name, proof.value.as_str())),
    }
    .within_limits()
}

/// Texts of other parties may hold NUL, which some databases cannot store; the Cabinet would refuse
/// the report for ever.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

fn details(failure: &Failure) -> Option<Map<String, Value>> {
    match serde_json::to_value(failure) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

/// Reads the answer to an accepted report that carried `proof`. The version is that of the entity
/// tag, else that of the domain in the body.
pub(super) async fn accepted(
    answer: Response,
    proof: Option<&OwnershipVerification>,
    limit: usize,
) -> ReportAnswer {
    let tag = answer.headers().get(http::header::ETAG);
    let tagged = tag.and_then(|tag| parse_version_tag(tag.to_str().ok()?));
    // The body is read only if it can say more than the tag.
    let body = if tagged.is_some() && proof.is_none() {
        None
    } else {
        json::<Map<String, Value>>(answer, limit).await.ok()
    };
    let body = body.as_ref();
    let version = tagged.or_else(|| body?.get("version")?.as_u64());
    ReportAnswer::Accepted {
        version: version.filter(|version| i64::try_from(*version).is_ok()),
        keeps_proof: proof.and_then(|proof| shows(body?, proof)),
    }
}

/// Whether the body shows the record; `None` if it is no domain.
fn shows(body: &Map<String, Value>, proof: &OwnershipVerification) -> Option<bool> {
    body.get("status").filter(|status| status.is_string())?;
    let shown = body
        .get("ownershipVerification")
        .and_then(|record| OwnershipVerification::deserialize(record).ok());
    Some(shown.is_some_and(|shown| {
        shown.name.eq_ignore_ascii_case(&proof.name) && shown.value == proof.value
    }))
}
