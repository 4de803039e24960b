//! Rows and their columns.

use dps_cabinet_api::CustomDomain;
use dps_database::{Arg, args};

use super::{Row, StoreError};
use crate::rules::Record;

/// The columns of a domain, in one order for reading and writing.
macro_rules! columns {
    () => {
        "id, tenant_id, hostname, canonical_host, cname_target, status, last_error_code, \
         last_error_message, error_details, next_attempt_at, certificate_not_after, \
         ownership_verification, version, created_at, updated_at, retried_at, position, \
         change_position"
    };
}
pub(super) use columns;

/// Reads a row of [`columns`].
pub(super) fn record(row: &Row) -> Result<Record, StoreError> {
    let fields = row.fields("cabinet_domains", "id");
    Ok(Record {
        domain: CustomDomain {
            id: fields.parse("id")?,
            tenant_id: fields.get("tenant_id")?,
            hostname: fields.get("hostname")?,
            canonical_host: fields.get("canonical_host")?,
            cname_target: fields.get("cname_target")?,
            status: fields.get("status")?,
            last_error_code: fields.get("last_error_code")?,
            last_error_message: fields.get("last_error_message")?,
            error_details: fields.json_if_any("error_details")?,
            next_attempt_at: fields.at_if_any("next_attempt_at")?,
            certificate_not_after: fields.at_if_any("certificate_not_after")?,
            ownership_verification: fields.json_if_any("ownership_verification")?,
            version: fields.count("version")?,
            created_at: fields.at("created_at")?,
            updated_at: fields.at("updated_at")?,
        },
        retried_at: fields.at_if_any("retried_at")?,
        position: fields.get("position")?,
        change_position: fields.get("change_position")?,
    })
}

/// The values of [`columns`].
pub(super) fn values(record: &Record) -> Vec<Arg> {
    let domain = &record.domain;
    args![
        domain.id,
        domain.tenant_id.as_str(),
        domain.hostname.as_str(),
        domain.canonical_host.as_str(),
        domain.cname_target.as_str(),
        domain.status.as_str(),
        domain.last_error_code.as_deref(),
        domain.last_error_message.as_deref(),
        details(domain),
        domain.next_attempt_at,
        domain.certificate_not_after,
        verification(domain),
        domain.version,
        domain.created_at,
        domain.updated_at,
        record.retried_at,
        record.position,
        record.change_position,
    ]
}

/// The id and the values of the columns that change.
pub(super) fn changed_values(record: &Record) -> Vec<Arg> {
    let domain = &record.domain;
    args![
        domain.id,
        domain.status.as_str(),
        domain.last_error_code.as_deref(),
        domain.last_error_message.as_deref(),
        details(domain),
        domain.next_attempt_at,
        domain.certificate_not_after,
        verification(domain),
        domain.version,
        domain.updated_at,
        record.retried_at,
        record.change_position,
    ]
}

/// The details as they are stored.
fn details(domain: &CustomDomain) -> Option<String> {
    domain
        .error_details
        .as_ref()
        .map(|details| serde_json::Value::Object(details.clone()).to_string())
}

/// The record that proves ownership, as it is stored.
fn verification(domain: &CustomDomain) -> Option<String> {
    let record = domain.ownership_verification.as_ref()?;
    Some(serde_json::json!(record).to_string())
}
