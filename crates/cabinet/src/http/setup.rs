//! The setup page over HTTP: the page, the request of a check, and the files.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dps_cabinet_api::ProblemCode;
use dps_domain::{DomainId, Timestamp};

use super::customer::request_retry;
use super::{App, Shared};
use crate::refusal::Refusal;
use crate::setup::{Language, Notice, Refused, RenderError, SetupPage, Viewed, Visit};
use crate::store::Update;

const HTML: &str = "text/html; charset=utf-8";
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
/// When to open the page again while the store does not answer.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// The routes of the page; none if it is off.
pub(super) fn routes(app: &App) -> Router<Arc<App>> {
    if app.config.setup.is_none() {
        return Router::new();
    }
    Router::new()
        .route("/setup/{id}", get(show))
        .route("/setup/{id}/check", post(check))
        .route("/setup/assets/{name}", get(asset))
}

/// Returns the page of a domain.
async fn show(
    State(app): Shared,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let page = page(&app)?;
    let call = Call::read(&app, &uri, &headers);
    let refuse = |refused| refused_page(page, refused, call.language, "");
    let id = match call.admitted(page, &id) {
        Ok(id) => id,
        Err(refused) => return refuse(refused),
    };
    let record = match app.store.find(id).await {
        Ok(Some(record)) => record,
        Ok(None) => return refuse(NotShown::from(Refused::UnknownLink)),
        // The conversion logs the error.
        Err(error) => return refuse(NotShown::busy(&Refusal::from(error))),
    };
    let viewed = Viewed {
        record: &record,
        edge_addresses: app.config.names.edge_addresses(),
    };
    let visit = Visit {
        language: call.language,
        signature: &call.signature,
        notice: call.notice,
        now: call.now,
    };
    let html = page.render(viewed, visit).map_err(|error| broken(&error))?;
    Ok(protected(
        page,
        (StatusCode::OK, [(CONTENT_TYPE, HTML)], html),
    ))
}

/// Requests a check, and leads back to the page, so that a reload does not request another.
async fn check(
    State(app): Shared,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let page = page(&app)?;
    let call = Call::read(&app, &uri, &headers);
    let refuse = |refused| refused_page(page, refused, call.language, "../");
    let id = match call.admitted(page, &id) {
        Ok(id) => id,
        Err(refused) => return refuse(refused),
    };
    let notice = match request_retry(&app, id).await {
        Ok(Update::Changed(_) | Update::Unchanged(_)) => String::new(),
        Ok(Update::Missing) => return refuse(NotShown::from(Refused::UnknownLink)),
        Ok(Update::Refused(refusal)) => format!("&notice={}", notice_of(&refusal).word()),
        Err(error) => return refuse(NotShown::busy(&Refusal::from(error))),
    };
    // Both were checked, so they hold nothing but visible ASCII characters.
    let (signature, lang) = (&call.signature, call.language.tag());
    let location = format!("../{id}?sig={signature}&lang={lang}{notice}#status");
    Ok(protected(
        page,
        (StatusCode::SEE_OTHER, [(LOCATION, location)]),
    ))
}

/// Returns a file of the page.
async fn asset(State(app): Shared, Path(name): Path<String>) -> Result<Response, Refusal> {
    let page = page(&app)?;
    let Some(asset) = page.asset(&name) else {
        let detail = "there is no such file; reload the page";
        return Err(Refusal::new(ProblemCode::NotFound, detail));
    };
    let headers = [
        (CONTENT_TYPE, asset.media_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, asset.content.to_owned()).into_response())
}

fn page(app: &App) -> Result<&SetupPage, Refusal> {
    let page = app.config.setup.as_ref();
    page.ok_or_else(|| Refusal::new(ProblemCode::NotFound, "there is nothing at this path"))
}

/// A call of a page. Unknown parameters are passed over, because mail programs add some.
struct Call {
    signature: String,
    language: Language,
    notice: Option<Notice>,
    now: Timestamp,
}

impl Call {
    fn read(app: &App, uri: &Uri, headers: &HeaderMap) -> Self {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let pairs = pairs.map_or_else(|_| Vec::new(), |Query(pairs)| pairs);
        let parameter = |wanted: &str| {
            let mut named = pairs.iter().filter(|(name, _)| name == wanted);
            named.next().map(|(_, value)| value.as_str())
        };
        Self {
            signature: parameter("sig").unwrap_or_default().to_owned(),
            language: Language::of(parameter("lang"), headers),
            notice: parameter("notice").and_then(Notice::by_word),
            now: app.config.ports.now(),
        }
    }

    /// The domain to whose page the link admits. Without a right signature, the store is not
    /// touched, and the answer does not depend on whether there is such a domain.
    fn admitted(&self, page: &SetupPage, id: &str) -> Result<DomainId, NotShown> {
        let id: DomainId = id.parse().map_err(|_| Refused::UnknownLink)?;
        if !page.admits(id, &self.signature, self.now) {
            return Err(Refused::UnknownLink.into());
        }
        page.count_visit(id, self.now).map_err(|wait| NotShown {
            refused: Refused::TooManyVisits,
            retry_after: Some(wait),
        })?;
        Ok(id)
    }
}

/// Why a page is not shown, and when to open it again.
#[derive(Clone, Copy)]
struct NotShown {
    refused: Refused,
    retry_after: Option<Duration>,
}

impl NotShown {
    fn busy(refusal: &Refusal) -> Self {
        Self {
            refused: Refused::Busy,
            retry_after: Some(refusal.retry_after.unwrap_or(BUSY_RETRY)),
        }
    }
}

impl From<Refused> for NotShown {
    fn from(refused: Refused) -> Self {
        Self {
            refused,
            retry_after: None,
        }
    }
}

/// Returns the page in place of another, whose folder is `up` above it.
fn refused_page(
    page: &SetupPage,
    refused: NotShown,
    language: Language,
    up: &str,
) -> Result<Response, Refusal> {
    let status = match refused.refused {
        Refused::UnknownLink => StatusCode::NOT_FOUND,
        Refused::TooManyVisits => StatusCode::TOO_MANY_REQUESTS,
        Refused::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let html = page.render_refused(refused.refused, language, up);
    let html = html.map_err(|error| broken(&error))?;
    let mut response = protected(page, (status, [(CONTENT_TYPE, HTML)], html));
    if let Some(wait) = refused.retry_after {
        let seconds = wait.as_millis().div_ceil(1000).to_string();
        if let Ok(seconds) = HeaderValue::from_str(&seconds) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
    }
    Ok(response)
}

/// Adds the headers that keep a page from being cached, embedded elsewhere, or leaking its link.
fn protected(page: &SetupPage, response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, page.policy().clone());
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (ROBOTS, "noindex, nofollow"),
        (VARY, "Accept-Language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !page.is_embeddable() {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}

fn notice_of(refusal: &Refusal) -> Notice {
    match refusal.problem.code() {
        Some(ProblemCode::RetryTooSoon) => Notice::TooSoon,
        Some(ProblemCode::TooManyRetries) => Notice::TooMany,
        _ => Notice::NotPossible,
    }
}

fn broken(error: &RenderError) -> Refusal {
    Refusal::new(ProblemCode::Internal, error.to_string())
}
