//! The files that pages load.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use dps_dashboard::assets::ASSETS;

use crate::admin::problem::Refusal;

/// Sends a file. Its address holds its hash, so it never changes.
pub(super) async fn show(uri: Uri) -> Result<Response, Refusal> {
    let asset = ASSETS.at(uri.path());
    let asset = asset.ok_or_else(|| Refusal::not_found("no file has this address"))?;
    let mut response = asset.content.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, for_ever);
    Ok(response)
}
