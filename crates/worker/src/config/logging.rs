//! Section `Logging`: level and format of the log.

use dps_host::telemetry::{self, Format};
use serde::{Deserialize, Serialize};

use super::report::Report;

/// Level and format of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Logging {
    /// A level or directives; the environment variable `RUST_LOG` overrides it.
    pub level: String,
    /// Format of the lines.
    pub format: Format,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: "Information".to_owned(),
            format: Format::Auto,
        }
    }
}

impl Logging {
    pub(super) fn check(&self, report: &mut Report) {
        if let Err(error) = telemetry::check_level(&self.level) {
            report.error("Logging:Level", error.to_string());
        }
    }
}
