//! Logs: one JSON line per event on standard output, or lines for people when that is a terminal.

mod filter;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal as _};

use serde::{Deserialize, Deserializer, Serialize, de};
use tracing::Subscriber;
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// A layer beside the log, with a filter of its own, such as the export of spans.
pub type SideLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Format {
    /// [`Format::Pretty`] when standard output is a terminal, else [`Format::Json`].
    #[default]
    Auto,
    /// One JSON object per line: `timestamp`, `level`, `target`, `message`, the event's fields
    /// beside them, the innermost span under `span`.
    Json,
    /// Lines for people, in colour on a terminal unless `NO_COLOR` is set.
    Pretty,
}

/// Logs cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level setting or `RUST_LOG` says something unknown.
    #[error(
        "{given:?} is no log level: write Trace, Debug, Information, Warning, Error or None, or directives such as \
         \"info,dps_store=debug\""
    )]
    BadFilter {
        /// The given level.
        given: String,
    },
    /// The log file cannot be written.
    #[error("cannot write the log file {}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else in this process has started logging before.
    #[error("logging was already started in this process")]
    Twice,
}

/// Starts logging for the whole process. The filter is the environment's `RUST_LOG` if set, else
/// `level` (a level, as .NET or as Rust names it, or directives), else `info`.
///
/// A bare level applies to this project's own code. Libraries log at `warn`, and at most at `info`
/// even if the level is `trace`. Some of them would print the bytes they send and receive. A
/// directive that names a library lifts this limit for it. The resolver's library (`hickory_*`)
/// stays at `info` even then: it prints whole DNS responses, with the values that prove claims.
///
/// The layer `side` changes no log line.
pub fn init(
    format: Format,
    level: Option<&str>,
    side: Option<SideLayer>,
) -> Result<(), TelemetryError> {
    let filter = chosen_filter(level)?;
    let is_terminal = io::stdout().is_terminal();
    let pretty = match format {
        Format::Auto => is_terminal,
        Format::Json => false,
        Format::Pretty => true,
    };
    let style = if pretty {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Style::Lines {
            colour: is_terminal && wants_colour(no_color.as_deref(), term.as_deref()),
        }
    } else {
        Style::Json
    };
    subscriber(style, filter, io::stdout, side)
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}

/// Starts logging for the whole process as JSON lines appended to a file, for a process whose
/// standard output is for people. The filter is chosen as by [`init`].
pub fn init_file(path: &std::path::Path, level: Option<&str>) -> Result<(), TelemetryError> {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let file = file.map_err(|source| TelemetryError::File {
        path: path.to_owned(),
        source,
    })?;
    subscriber(
        Style::Json,
        chosen_filter(level)?,
        std::sync::Mutex::new(file),
        None,
    )
    .try_init()
    .map_err(|_| TelemetryError::Twice)
}

/// Whether a terminal is to be written to in colour: not with `NO_COLOR` (<https://no-color.org>),
/// and not if it is a dumb one.
fn wants_colour(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

fn chosen_filter(level: Option<&str>) -> Result<EnvFilter, TelemetryError> {
    let from_environment = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty());
    filter::build(from_environment.as_deref().or(level).unwrap_or("info"))
}

/// Whether [`init`] will take this level.
pub fn check_level(level: &str) -> Result<(), TelemetryError> {
    filter::build(level).map(drop)
}

#[derive(Clone, Copy)]
enum Style {
    Json,
    Lines { colour: bool },
}

fn subscriber<W>(
    style: Style,
    filter: EnvFilter,
    writer: W,
    side: Option<SideLayer>,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: SideLayer = match style {
        Style::Json => Box::new(lines.json().flatten_event(true).with_span_list(false)),
        Style::Lines { colour } => Box::new(lines.compact().with_ansi(colour)),
    };
    // Filters of single layers lost lines that were written inside a span which no layer wants.
    let Some(side) = side else {
        let registry = tracing_subscriber::registry().with(lines);
        return Box::new(registry.with(filter).with(filter::resolver_limit()));
    };
    // The filters are those of the lines alone, so that the layer beside them has its own.
    let lines = lines.with_filter(filter.and(filter::resolver_limit()));
    let layers: Vec<SideLayer> = vec![Box::new(lines), side];
    Box::new(tracing_subscriber::registry().with(layers))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        [Self::Auto, Self::Json, Self::Pretty]
            .into_iter()
            .find(|format| format.to_string().eq_ignore_ascii_case(&text))
            .ok_or_else(|| {
                de::Error::invalid_value(de::Unexpected::Str(&text), &"Auto, Json or Pretty")
            })
    }
}

#[cfg(test)]
mod tests;
