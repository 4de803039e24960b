//! The context of a trace in a request (W3C Trace Context).

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use reqwest::header::{HeaderMap, HeaderValue};

/// Adds the header `traceparent` with the current span to a request. Without one, the request stays
/// as it is.
pub fn add_context(headers: &mut HeaderMap) {
    let current = Context::current();
    let span = current.span();
    let context = span.span_context();
    if !context.is_valid() {
        return;
    }
    let text = format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    );
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert("traceparent", value);
    }
}
