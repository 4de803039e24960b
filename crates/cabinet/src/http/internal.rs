//! The calls of the service: lists, the change feed and status reports.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use dps_cabinet_api::{
    ChangesPage, CustomDomain, INTERNAL_PATH, Page, ProblemCode, StatusName, StatusReport, limits,
};
use tokio::time::Instant;

use super::body::JsonBody;
use super::examples;
use super::params::{Params, PathId, if_match};
use super::refusals::{FeedRefusals, GetRefusals, ListRefusals, ReportRefusals};
use super::reply::{self, no_such_domain};
use super::{App, Shared};
use crate::cursor::CursorKind;
use crate::refusal::Refusal;
use crate::rules::{self, Record};
use crate::store::{Change, Filter, Update};

/// Interval of queries in a waiting call, for changes made through another replica.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Returns the longest `wait` of the changes call; zero for others.
pub(super) fn longest_wait(uri: &Uri) -> Duration {
    let is_changes = uri
        .path()
        .strip_prefix(INTERNAL_PATH)
        .is_some_and(|rest| rest == "/changes");
    Duration::from_secs(if is_changes {
        limits::MAX_WAIT_SECONDS
    } else {
        0
    })
}

/// Lists domains in order of creation, optionally of one status.
///
/// A domain that is in the list during all pages appears exactly once.
#[utoipa::path(get, path = "/internal/v1/custom-domains", tag = "internal", security(("serviceToken" = [])),
    operation_id = "listServiceDomains",
    params(
        ("status" = inline(Option<StatusName>), Query, description = "Only domains in this status."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Largest number of items, 100 by default."),
        ("cursor" = Option<String>, Query, min_length = 1, max_length = 200, description = "The `nextCursor` of the previous page."),
    ),
    responses(
        (status = 200, body = Page<CustomDomain>, description = "One page.", example = json!(examples::page(examples::domain()))),
        ListRefusals,
    ))]
pub(super) async fn list(
    State(app): Shared,
    uri: Uri,
) -> Result<Json<Page<CustomDomain>>, Refusal> {
    let params = Params::read(&uri, &["status", "limit", "cursor"])?;
    let filter = Filter {
        status: params.status()?,
        ..Filter::default()
    };
    let page = page(&app, &filter, &params).await?;
    Ok(Json(page))
}

/// Returns one page of a list. Reads one item more, to know whether there is a next page.
pub(super) async fn page(
    app: &App,
    filter: &Filter,
    params: &Params,
) -> Result<Page<CustomDomain>, Refusal> {
    let (after, limit) = (params.position(CursorKind::List)?, params.limit()?);
    let mut records = app.store.list(filter, after, limit + 1).await?;
    let more = records.len() > limit as usize;
    records.truncate(limit as usize);
    let next_cursor = records
        .last()
        .filter(|_| more)
        .map(|last| CursorKind::List.encode(last.position));
    let items = records.into_iter().map(|record| record.domain).collect();
    Ok(Page { items, next_cursor })
}

/// Lists domains that customers changed (created, retried, removed) since a cursor, in order of the
/// change.
///
/// Without `after`, the feed starts at the oldest change. A domain that changed several times
/// appears once, as it is now. Reports of the service do not put a domain into the feed. With
/// `wait`, the call waits up to that many seconds for a change, then returns an empty page. `400
/// CURSOR_INVALID` means that the feed does not know the cursor, for instance after the database
/// was restored: start again without `after`.
#[utoipa::path(get, path = "/internal/v1/custom-domains/changes", tag = "internal", security(("serviceToken" = [])),
    operation_id = "listDomainChanges",
    params(
        ("after" = Option<String>, Query, min_length = 1, max_length = 200, description = "The `nextCursor` of the previous page."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Largest number of items, 100 by default."),
        ("wait" = Option<u64>, Query, maximum = 60, description = "Seconds to wait for a change, 0 by default."),
    ),
    responses(
        (status = 200, body = ChangesPage<CustomDomain>, description = "One page; empty if nothing changed.",
            example = json!(examples::changes())),
        FeedRefusals,
    ))]
pub(super) async fn changes(
    State(app): Shared,
    uri: Uri,
) -> Result<Json<ChangesPage<CustomDomain>>, Refusal> {
    let params = Params::read(&uri, &["after", "limit", "wait"])?;
    let (after, limit) = (params.position(CursorKind::Feed)?, params.limit()?);
    let wait = Duration::from_secs(params.wait()?);
    if after > app.store.last_position().await? {
        return Err(CursorKind::Feed.refuse("it is ahead of this feed"));
    }
    let records = wait_for_changes(&app, after, limit, wait).await?;
    let last = records.last().map_or(after, |last| last.change_position);
    Ok(Json(ChangesPage {
        items: records.into_iter().map(|record| record.domain).collect(),
        next_cursor: CursorKind::Feed.encode(last),
    }))
}

async fn wait_for_changes(
    app: &App,
    after: i64,
    limit: u32,
    wait: Duration,
) -> Result<Vec<Record>, Refusal> {
    let deadline = Instant::now() + wait;
    // Subscribe before the first query: otherwise a change between query and wait would be missed.
    let mut changed = app.changed.subscribe();
    loop {
        let records = app.store.changes(after, limit).await?;
        let now = Instant::now();
        if !records.is_empty() || now >= deadline || app.config.draining.is_cancelled() {
            return Ok(records);
        }
        let next_poll = deadline.min(now + POLL_INTERVAL);
        tokio::select! {
            _ = changed.changed() => {}
            () = app.config.draining.cancelled() => {}
            () = tokio::time::sleep_until(next_poll) => {}
        }
    }
}

/// Returns one domain, with its version as `ETag`.
#[utoipa::path(get, path = "/internal/v1/custom-domains/{id}", tag = "internal", security(("serviceToken" = [])),
    operation_id = "getServiceDomain",
    params(("id" = Uuid, Path, description = "Identifier of the domain.")),
    responses(
        (status = 200, body = CustomDomain, description = "The domain.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::domain())),
        GetRefusals,
    ))]
pub(super) async fn get(State(app): Shared, PathId(id): PathId) -> Result<Response, Refusal> {
    let record = app.store.find(id).await?.ok_or_else(no_such_domain)?;
    Ok(reply::domain(record.domain))
}

/// Reports the status of a domain.
///
/// The report replaces `status`, `lastErrorCode`, `lastErrorMessage`, `errorDetails`,
/// `nextAttemptAt`, `certificateNotAfter` and `ownershipVerification`; absent fields are cleared.
/// It applies to the version in `If-Match`. If the domain already has these values, the response is
/// 200 with the current document, at any version. So a report whose response was lost can be sent
/// again.
///
/// From `PendingDns`, `PendingHttpProbe`, `Issuing` and `Failed`, the service reports each of these
/// and `Active`. From `Active`, it reports `Failed`; from `PendingRemoval`, `Removed`. Any status
/// may be reported again. `Active` becomes `Failed` with `DNS_MOVED` when the certificate of a
/// domain that moved away ends. The domain is served again once its DNS leads back.
///
/// The response shows the `ownershipVerification` that the report carried. If it shows a domain
/// without that record, the service's readiness warns. A response without a body (204) is taken
/// too; the version is then read from `ETag`, and nothing is known of the record.
#[utoipa::path(post, path = "/internal/v1/custom-domains/{id}/status", tag = "internal", security(("serviceToken" = [])),
    operation_id = "reportDomainStatus",
    params(
        ("id" = Uuid, Path, description = "Identifier of the domain."),
        ("If-Match" = String, Header, min_length = 3, max_length = 22, pattern = r#"^"[0-9]+"$"#,
            description = "The version to which the report applies, in quotes.", example = "\"1\""),
    ),
    request_body(content = StatusReport, description = "The status to report.", example = json!(examples::report())),
    responses(
        (status = 200, body = CustomDomain, description = "The domain after the report.",
            headers(("ETag" = String, description = "The version in quotes.")), example = json!(examples::reported())),
        ReportRefusals,
    ))]
pub(super) async fn report(
    State(app): Shared,
    PathId(id): PathId,
    headers: HeaderMap,
    JsonBody(report): JsonBody<StatusReport>,
) -> Result<Response, Refusal> {
    let version = if_match(&headers)?;
    check_fields(&report)?;
    let now = app.config.ports.now();
    let decide = Box::new(move |record: &Record| rules::report(record, version, &report, now));
    match app.store.update(id, Change::Report, decide).await? {
        Update::Changed(record) => {
            let domain = record.domain;
            tracing::info!(domain.id = %id, status = domain.status, code = domain.last_error_code, "domain.status_reported");
            Ok(reply::domain(domain))
        }
        Update::Unchanged(record) => Ok(reply::domain(record.domain)),
        Update::Refused(refusal) => Err(refusal),
        Update::Missing => Err(no_such_domain()),
    }
}

fn check_fields(report: &StatusReport) -> Result<(), Refusal> {
    let wrong = |field, detail| Refusal::at(ProblemCode::FieldInvalid, field, detail);
    if let Some(field) = report.field_over_limit() {
        return Err(wrong(field, "the value is longer than the contract allows"));
    }
    // PostgreSQL cannot store the character.
    let texts = [
        ("lastErrorCode", &report.last_error_code),
        ("lastErrorMessage", &report.last_error_message),
    ];
    match texts
        .iter()
        .find(|(_, text)| text.as_ref().is_some_and(|text| text.contains('\0')))
    {
        Some((field, _)) => Err(wrong(field, "the NUL character is not allowed")),
        None => Ok(()),
    }
}

/// Wakes the calls that wait for changes.
pub(super) fn wake(app: &Arc<App>) {
    app.changed.send_replace(());
}
