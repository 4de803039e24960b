//! `/internal/v1/certificates`.

use std::fmt::Write;
use std::ops::Bound;

use aws_lc_rs::digest;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use dps_agent_api::{Applied, ApplyRequest, InventoryItem, InventoryPage, ProblemCode};
use dps_domain::Hostname;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::App;
use super::problem::{Rejection, read_json};
use crate::edge::{View, parse_request};

const MAX_PAGE: usize = 1000;

/// `POST /internal/v1/certificates/apply`: serve this certificate.
pub(super) async fn apply(
    State(app): State<App>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Applied>, Rejection> {
    let body = Zeroizing::new(Vec::from(body.map_err(unreadable_body)?));
    let request: ApplyRequest = read_json(&body)?;
    drop(body);
    let stored = parse_request(&request, app.clock.now()).inspect_err(|refusal| {
        let problem = refusal.problem();
        app.metrics.count_refused(problem.code);
        tracing::warn!(hostname = %request.hostname, code = %problem.code, reason = %problem.detail, "not applied");
    })?;
    Ok(Json(app.edge.apply(stored).await?))
}

/// `DELETE /internal/v1/certificates/{hostname}`: serve it no more.
pub(super) async fn remove(
    State(app): State<App>,
    hostname: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Rejection> {
    let Path(hostname) =
        hostname.map_err(|_| Rejection::new(ProblemCode::RequestMalformed, "the path is not UTF-8"))?;
    app.edge.remove(Hostname::parse(&hostname)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /internal/v1/certificates`: what is held.
pub(super) async fn inventory(
    State(app): State<App>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<InventoryPage>, Rejection> {
    let Query(page) =
        page.map_err(|_| Rejection::new(ProblemCode::RequestMalformed, "limit is a number").about("limit"))?;
    let limit = page.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let after = page
        .cursor
        .map(|cursor| Hostname::parse(&cursor))
        .transpose()
        .map_err(|_| {
            Rejection::new(ProblemCode::RequestMalformed, "send back nextCursor as it was").about("cursor")
        })?;
    let view = app.shared.view();
    Ok(Json(InventoryPage {
        digest: digest_of(&view),
        ..page_of(&view, after, limit)
    }))
}

fn page_of(view: &View, after: Option<Hostname>, limit: usize) -> InventoryPage {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = view.held.range((start, Bound::Unbounded));
    let items: Vec<_> = rest
        .by_ref()
        .take(limit)
        .map(|(hostname, held)| InventoryItem {
            hostname: hostname.clone(),
            fingerprint: held.fingerprint.clone(),
            not_after: held.not_after,
            generation: held.generation,
        })
        .collect();
    let has_more = rest.next().is_some();
    let next_cursor = items
        .last()
        .filter(|_| has_more)
        .map(|item| item.hostname.to_string());
    InventoryPage {
        items,
        next_cursor,
        digest: String::new(),
    }
}

fn digest_of(view: &View) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut line = String::new();
    for (hostname, held) in &view.held {
        line.clear();
        // Writing to a String cannot fail.
        let _ = writeln!(line, "{hostname} {} {}", held.fingerprint, held.generation);
        context.update(line.as_bytes());
    }
    hex::encode(context.finish())
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
pub(super) fn unreadable_body(rejection: BytesRejection) -> Rejection {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Rejection::new(ProblemCode::RequestTooLarge, "the body is longer than 256 KiB");
    }
    Rejection::new(ProblemCode::RequestMalformed, "the body broke off")
}
