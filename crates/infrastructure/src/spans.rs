//! Spans of the calls to other parties, for a collector of OpenTelemetry. Attributes say what was
//! requested, and never hold a token, a key authorization or a key.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use dps_application::spans::TARGET;
use dps_domain::Hostname;
use dps_domain::limits::Endpoint;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// A query to one DNS server.
pub(crate) fn dns_lookup(
    server: SocketAddr,
    name: &impl std::fmt::Display,
    kind: impl std::fmt::Display,
) -> Span {
    tracing::trace_span!(
        target: TARGET, "dns.lookup", otel.kind = "client", dns.server = %server, dns.name = %name,
        dns.kind = %kind, otel.status_code = Empty
    )
}

/// A fetch of our token at one address.
pub(crate) fn http_probe(host: &Hostname, address: IpAddr) -> Span {
    tracing::trace_span!(
        target: TARGET, "http.probe", otel.kind = "client", domain.hostname = %host, address = %address,
        otel.status_code = Empty
    )
}

/// A request to the CA.
pub(crate) fn acme_request(method: &http::Method, endpoint: Endpoint, host: Option<&str>) -> Span {
    tracing::trace_span!(
        target: TARGET, "acme.request", otel.kind = "client", http.method = %method,
        endpoint = endpoint.as_str(), server = host, http.status = Empty, otel.status_code = Empty
    )
}

/// A call to the agent of an edge. `call` is its name in the port, since a path may hold a token.
pub(crate) fn agent_call(edge: &str, call: &'static str, host: Option<&Hostname>) -> Span {
    tracing::trace_span!(
        target: TARGET, "agent.call", otel.kind = "client", edge.name = edge, call,
        domain.hostname = host.map(tracing::field::display), otel.status_code = Empty
    )
}

/// A call to the Cabinet.
pub(crate) fn cabinet_call(method: &http::Method, path: &str) -> Span {
    tracing::trace_span!(
        target: TARGET, "cabinet.call", otel.kind = "client", http.method = %method, http.path = path,
        http.status = Empty, otel.status_code = Empty
    )
}

/// Marks the call of a span as failed.
pub(crate) fn record_error(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// Records the status of an answer.
pub(crate) fn record_status(span: &Span, status: http::StatusCode) {
    span.record("http.status", status.as_u16());
    if status.is_client_error() || status.is_server_error() {
        record_error(span);
    }
}

/// Makes a call in its span.
pub(crate) async fn in_span<T, E>(
    span: Span,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let result = call.instrument(span.clone()).await;
    if result.is_err() {
        record_error(&span);
    }
    result
}
