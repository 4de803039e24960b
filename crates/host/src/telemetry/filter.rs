//! Which events are logged.

use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterFn, LevelFilter, filter_fn};

use super::TelemetryError;

/// The beginnings of the names of this project's own crates.
const OURS: [&str; 2] = ["dps", "haproxy_domain_agent"];

/// The beginning of the targets of the resolver's library. Below `info` it prints whole DNS
/// responses, which hold the values of TXT records that prove claims.
const RESOLVER: &str = "hickory";

/// A filter that keeps the resolver's library at `info`, whatever directive names it.
pub(super) fn resolver_limit() -> FilterFn {
    let is_within = |metadata: &Metadata<'_>| {
        !metadata.target().starts_with(RESOLVER) || *metadata.level() <= LevelFilter::INFO
    };
    filter_fn(is_within)
}

/// A filter in which a bare level reaches our own crates only.
pub(super) fn build(text: &str) -> Result<EnvFilter, TelemetryError> {
    let bad = || TelemetryError::BadFilter {
        given: text.to_owned(),
    };
    let mut level = LevelFilter::INFO;
    let mut named = Vec::new();
    for directive in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        match parse_level(directive) {
            Some(bare) => level = bare,
            None if directive.contains(['=', '[']) => named.push(directive),
            None => return Err(bad()),
        }
    }
    let libraries = match level {
        LevelFilter::TRACE | LevelFilter::DEBUG => LevelFilter::INFO,
        quiet => quiet.min(LevelFilter::WARN),
    };
    let mut directives = vec![libraries.to_string()];
    directives.extend(OURS.map(|ours| format!("{ours}={level}")));
    directives.extend(named.into_iter().map(str::to_owned));
    EnvFilter::builder()
        .parse(directives.join(","))
        .map_err(|_| bad())
}

/// A level by its name in Rust or in .NET.
fn parse_level(text: &str) -> Option<LevelFilter> {
    match text.to_ascii_lowercase().as_str() {
        "trace" | "verbose" => Some(LevelFilter::TRACE),
        "debug" => Some(LevelFilter::DEBUG),
        "info" | "information" => Some(LevelFilter::INFO),
        "warn" | "warning" => Some(LevelFilter::WARN),
        "error" | "critical" | "fatal" => Some(LevelFilter::ERROR),
        "off" | "none" => Some(LevelFilter::OFF),
        _ => None,
    }
}
