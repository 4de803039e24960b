//! Postpones a row that cannot be read. A newer version may have written it and may run beside this
//! one.

use std::time::Duration;

use dps_application::ports::cabinet::StatusReport;
use dps_application::ports::store::{DomainEvent, StoreError};
use dps_domain::bounds;
use dps_domain::failure::internal_message;
use dps_domain::lane::Lane;
use dps_domain::{DomainId, EventKind, Failure, FailureCode, LeaseToken, Status, Timestamp};
use serde_json::json;

use super::row::TABLE;
use crate::json::to_json;
use crate::sql::{Row, Session, Sql, args, statements};
use crate::{events, outbox};

/// The time until the row is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(600);

statements! {
    /// Keeps the other columns: they are readable.
    PUT_OFF = Sql::both(
        "UPDATE custom_domains SET next_attempt_at = $3, lease_token = NULL, lease_expires_at = NULL, \
         last_failure = $4, failure_code = $6, actor = $7, updated_at = $5, revision = revision + 1 WHERE id = $1 AND lease_token = $2 \
         RETURNING id, lane, serving_not_after",
    );
}

/// Puts off an unreadable row that the caller has just leased. Logs it for the operator, and
/// reports it to the Cabinet. Of its history the newest `kept` lines stay.
pub(super) async fn put_off_in_tx(
    session: &mut Session,
    row: &Row,
    token: LeaseToken,
    now: Timestamp,
    error: &StoreError,
    kept: u32,
) -> Result<(), StoreError> {
    let fields = row.fields(TABLE, "id");
    let again = now + RETRY_DELAY;
    tracing::error!(
        domain.id = fields.key(), %error, next_attempt_at = %again,
        remedy = "run the version that wrote the row, or repair it", "record.unreadable"
    );
    let failure = Failure::Internal {
        detail: error.to_string(),
    };
    let updated = session
        .fetch(
            PUT_OFF,
            args![
                fields.key(),
                token,
                again,
                to_json(&*bounds::failure(&failure)),
                now,
                failure.code().as_str(),
                failure.actor().as_str(),
            ],
        )
        .await?;
    let (Some(updated), Ok(id)) = (updated, fields.key().parse::<DomainId>()) else {
        return Ok(());
    };
    let updated = updated.fields(TABLE, "id");
    let serving_not_after = updated.at_if_any("serving_not_after")?;
    let event = DomainEvent {
        at: now,
        kind: EventKind::Failed(FailureCode::Internal),
        phase: "unreadable".into(),
        detail: json!(failure),
        duration: None,
        replica: String::new(),
    };
    events::append_in_tx(session, id, &event, kept).await?;
    let lane: Option<String> = updated.get("lane")?;
    let last_failure: Option<String> = fields.get("last_failure").unwrap_or_default();
    if let Some(status) = status_of(lane.as_deref(), serving_not_after, last_failure.as_deref()) {
        let report = StatusReport {
            status,
            failure: Some(failure),
            message: Some(internal_message(None)),
            next_attempt_at: Some(again),
            certificate_not_after: serving_not_after,
            proof: None,
        };
        outbox::enqueue_in_tx(session, id, &report, now).await?;
    }
    Ok(())
}

/// The status that was reported last, as far as the readable columns show; `None` where no report
/// is due.
fn status_of(
    lane: Option<&str>,
    serving_not_after: Option<Timestamp>,
    last_failure: Option<&str>,
) -> Option<Status> {
    if serving_not_after.is_some() {
        return Some(Status::Active);
    }
    let lane = Lane::ALL
        .into_iter()
        .find(|known| Some(known.as_str()) == lane)?;
    match lane {
        Lane::Verification => Some(Status::PendingDns),
        Lane::HttpProbe => Some(Status::PendingHttpProbe),
        Lane::Issuance | Lane::OrderQueue => Some(Status::Issuing),
        // Checks of DNS and of HTTP wait here together; the last failure distinguishes them.
        Lane::Retry if last_failure?.contains("\"code\":\"DNS_") => Some(Status::PendingDns),
        Lane::Retry
        | Lane::Chronic
        | Lane::Renewal
        | Lane::Urgent
        | Lane::Recheck
        | Lane::Removal => None,
    }
}
