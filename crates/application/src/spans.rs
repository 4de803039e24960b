//! Spans for a collector of OpenTelemetry. They are apart from the spans of the log.

use dps_domain::decide::Action;
use dps_domain::lane::Lane;
use dps_domain::outcome::Outcome;
use tracing::Span;
use tracing::field::Empty;

use crate::ports::store::DomainRecord;

/// The target of these spans. The log is of other targets, so it has none of them.
pub const TARGET: &str = "spans";

/// The span of one step, which begins a trace.
pub(crate) fn of_step(lane: Lane, action: &Action, record: &DomainRecord) -> Span {
    // TRACE, since the log's level never reaches other targets than ours below INFO.
    tracing::trace_span!(
        target: TARGET,
        parent: None,
        "step",
        lane = lane.as_str(),
        step = action.name(),
        domain.id = %record.id,
        domain.hostname = %record.hostname,
        code = Empty,
        otel.status_code = Empty,
    )
}

/// Records the outcome of a step in its span.
pub(crate) fn record_outcome(span: &Span, outcome: &Outcome) {
    if let Outcome::Failed { failure, .. } = outcome {
        span.record("code", failure.code().as_str());
        span.record("otel.status_code", "ERROR");
    }
}
