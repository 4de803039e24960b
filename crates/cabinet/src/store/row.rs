//! Rows and their columns.

use dps_cabinet_api::CustomDomain;
use dps_domain::{DomainId, Timestamp};
use sqlx::{ColumnIndex, Decode, Row, Type};

use super::StoreError;
use crate::rules::Record;

/// The columns of a domain, in one order for reading and writing.
macro_rules! columns {
    () => {
        "id, tenant_id, hostname, canonical_host, cname_target, status, last_error_code, last_error_message, error_details, \
         next_attempt_at, certificate_not_after, version, created_at, updated_at, retried_at, position, change_position"
    };
}
pub(super) use columns;

/// Reads a row of [`columns`].
pub(super) fn record<'r, R>(row: &'r R) -> Result<Record, StoreError>
where
    R: Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
{
    let id: String = row.try_get(0)?;
    let bad = |column| StoreError::BadRow {
        id: id.clone(),
        column,
    };
    let moment = |micros: Option<i64>| micros.map(Timestamp::from_unix_micros);
    let details: Option<String> = row.try_get(8)?;
    let details = details.map(|text| serde_json::from_str(&text)).transpose();
    let version: i64 = row.try_get(11)?;
    let domain = CustomDomain {
        id: id.parse::<DomainId>().map_err(|_| bad("id"))?,
        tenant_id: row.try_get(1)?,
        hostname: row.try_get(2)?,
        canonical_host: row.try_get(3)?,
        cname_target: row.try_get(4)?,
        status: row.try_get(5)?,
        last_error_code: row.try_get(6)?,
        last_error_message: row.try_get(7)?,
        error_details: details.map_err(|_| bad("error_details"))?,
        next_attempt_at: moment(row.try_get(9)?),
        certificate_not_after: moment(row.try_get(10)?),
        version: u64::try_from(version).map_err(|_| bad("version"))?,
        created_at: Timestamp::from_unix_micros(row.try_get(12)?),
        updated_at: Timestamp::from_unix_micros(row.try_get(13)?),
    };
    Ok(Record {
        domain,
        retried_at: moment(row.try_get(14)?),
        position: row.try_get(15)?,
        change_position: row.try_get(16)?,
    })
}

/// A moment as it is stored.
pub(super) fn micros(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(Timestamp::unix_micros)
}

/// The version as it is stored; it grows by one per change, so it never comes near the end.
pub(super) fn version(domain: &CustomDomain) -> i64 {
    i64::try_from(domain.version).unwrap_or(i64::MAX)
}

/// The details as they are stored.
pub(super) fn details(domain: &CustomDomain) -> Option<String> {
    domain
        .error_details
        .as_ref()
        .map(|details| serde_json::Value::Object(details.clone()).to_string())
}
