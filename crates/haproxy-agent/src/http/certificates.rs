//! `/internal/v1/certificates`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use dps_agent_api::{
    Applied, ApplyRequest, BatchAnswer, BatchRequest, BatchResult, InventoryItem, InventoryPage,
    MAX_BATCH_CERTIFICATES, ProblemCode,
};
use dps_domain::Hostname;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::App;
use super::document::{ApplyRefusals, BatchRefusals, ReadRefusals, RemoveRefusals};
use super::problem::{Rejection, read_json};
use crate::edge::{Candidate, Removal, View, parse_request};

const MAX_PAGE: usize = 1000;

/// Serves a certificate for a hostname.
///
/// The agent checks it, stores it, installs it in HAProxy without a reload, and makes a TLS
/// handshake. Until all is done, the edge serves the certificate before.
#[utoipa::path(post, path = "/internal/v1/certificates/apply", tag = "internal",
    operation_id = "applyCertificate", security(("token" = []), ("mutualTls" = [])),
    request_body(content = ApplyRequest, description = "The certificate and its private key."),
    responses((status = 200, description = "The edge presented exactly this certificate in a handshake.",
        body = Applied), ApplyRefusals))]
pub(super) async fn apply(
    State(app): State<App>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Applied>, Rejection> {
    let body = Zeroizing::new(Vec::from(body.map_err(unreadable_body)?));
    let candidate = read_candidate(&app, &body)?;
    drop(body);
    Ok(Json(app.edge.apply(candidate).await?))
}

/// Serves many certificates, each for its hostname.
///
/// Each is applied or refused on its own. A hostname that comes twice is worked in the order of
/// the list.
#[utoipa::path(post, path = "/internal/v1/certificates/apply-batch", tag = "internal",
    operation_id = "applyCertificates", security(("token" = []), ("mutualTls" = [])),
    request_body(content = BatchRequest, description = "At most 256 certificates in 4 MiB."),
    responses((status = 200, description = "A result for each certificate, in their order.",
        body = BatchAnswer), BatchRefusals))]
pub(super) async fn apply_batch(
    State(app): State<App>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<BatchAnswer>, Rejection> {
    let body = Zeroizing::new(Vec::from(body.map_err(unreadable_body)?));
    let reading = app.clone();
    // A full batch takes some 100 ms to check.
    let read = move || -> Result<Vec<Result<Candidate, Rejection>>, Rejection> {
        let batch: Batch<'_> = read_json(&body)?;
        if batch.certificates.len() > MAX_BATCH_CERTIFICATES {
            let detail = format!(
                "a batch holds at most {MAX_BATCH_CERTIFICATES} certificates; send several batches"
            );
            return Err(Rejection::new(ProblemCode::RequestTooLarge, detail).at("certificates"));
        }
        let candidates = batch.certificates.iter();
        Ok(candidates
            .map(|one| read_candidate(&reading, one.get().as_bytes()))
            .collect())
    };
    let candidates = match tokio::task::spawn_blocking(read).await {
        Ok(candidates) => candidates?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let mut begun = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        begun.push(match candidate {
            Ok(candidate) => app
                .edge
                .begin_apply(candidate)
                .await
                .map_err(Rejection::from),
            Err(rejection) => Err(rejection),
        });
    }
    let mut results = Vec::with_capacity(begun.len());
    for one in begun {
        let verdict = match one {
            Ok(verdict) => verdict.await.map_err(Rejection::from),
            Err(rejection) => Err(rejection),
        };
        results.push(match verdict {
            Ok(applied) => BatchResult::Applied(applied),
            Err(rejection) => BatchResult::Refused(rejection.into_problem()),
        });
    }
    Ok(Json(BatchAnswer { results }))
}

/// A batch whose certificates are not checked yet: one that cannot be read is refused alone.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    certificates: Vec<&'a RawValue>,
}

/// Reads and checks everything that can be checked without HAProxy.
fn read_candidate(app: &App, json: &[u8]) -> Result<Candidate, Rejection> {
    let request: ApplyRequest = read_json(json)?;
    let parsed =
        parse_request(&request, app.clock.now()).and_then(|stored| app.edge.prepare(stored));
    Ok(parsed.inspect_err(|refusal| {
        let problem = refusal.problem();
        app.metrics.count_refused(problem.code);
        tracing::warn!(domain.hostname = %request.hostname, code = %problem.code, reason = %problem.detail, "certificate.apply_failed");
    })?)
}

#[derive(Debug, Deserialize)]
pub(super) struct UpTo {
    generation: Option<u64>,
}

/// Removes the certificate of a hostname, unless the agent holds a newer generation.
#[utoipa::path(delete, path = "/internal/v1/certificates/{hostname}", tag = "internal",
    operation_id = "removeCertificate", security(("token" = []), ("mutualTls" = [])),
    params(
        ("hostname" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("generation" = Option<u64>, Query, description = "The newest generation to remove; without it, any.")),
    responses((status = 204, description = "The agent holds no certificate for it any more."),
        RemoveRefusals))]
pub(super) async fn remove(
    State(app): State<App>,
    hostname: Result<Path<String>, PathRejection>,
    up_to: Result<Query<UpTo>, QueryRejection>,
) -> Result<StatusCode, Rejection> {
    let Path(hostname) = hostname.map_err(|_| {
        Rejection::new(ProblemCode::RequestMalformed, "the path is not valid UTF-8")
    })?;
    let Query(up_to) = up_to.map_err(|_| {
        Rejection::new(ProblemCode::RequestMalformed, "generation must be a number")
            .at("generation")
    })?;
    let removal = Removal::new(Hostname::parse(&hostname)?, up_to.generation)?;
    app.edge.remove(removal).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Lists the certificates that the agent holds, by hostname.
///
/// A certificate that is there all the time is listed exactly once. Pages with different digests
/// belong to different moments.
#[utoipa::path(get, path = "/internal/v1/certificates", tag = "internal",
    operation_id = "listCertificates", security(("token" = []), ("mutualTls" = [])),
    params(
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before."),
        ("limit" = Option<usize>, Query, description = "Largest number of certificates, 1000 unless set.", minimum = 1, maximum = 1000)),
    responses((status = 200, description = "A page of what the agent holds.", body = InventoryPage),
        ReadRefusals))]
pub(super) async fn inventory(
    State(app): State<App>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<InventoryPage>, Rejection> {
    let Query(page) = page.map_err(|_| {
        Rejection::new(ProblemCode::RequestMalformed, "limit must be a number").at("limit")
    })?;
    let limit = page.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let after = page
        .cursor
        .map(|cursor| Hostname::parse(&cursor))
        .transpose()
        .map_err(|_| {
            Rejection::new(
                ProblemCode::RequestMalformed,
                "the cursor is not valid; send nextCursor unchanged",
            )
            .at("cursor")
        })?;
    Ok(Json(page_of(&app.shared.view(), after, limit)))
}

fn page_of(view: &View, after: Option<Hostname>, limit: usize) -> InventoryPage {
    let mut following = view.held.after(after);
    let items: Vec<_> = following
        .by_ref()
        .take(limit)
        .map(|(hostname, held)| InventoryItem {
            hostname: hostname.clone(),
            fingerprint: held.fingerprint.clone(),
            not_after: held.not_after,
            generation: held.generation,
            state: view.state_of(hostname),
        })
        .collect();
    let has_more = following.next().is_some();
    let next_cursor = items
        .last()
        .filter(|_| has_more)
        .map(|item| item.hostname.to_string());
    InventoryPage {
        items,
        next_cursor,
        digest: view.held.digest().to_hex(),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err wants"
)]
pub(super) fn unreadable_body(rejection: BytesRejection) -> Rejection {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Rejection::new(
            ProblemCode::RequestTooLarge,
            "the body is too long; the limit is 256 KiB, or 4 MiB for a batch",
        );
    }
    Rejection::new(
        ProblemCode::RequestMalformed,
        "the body ended early; send it again",
    )
}
