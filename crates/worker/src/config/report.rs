//! Errors and warnings about the settings.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use dps_domain::with_causes;
use dps_host::{HumanDuration, Secret, TOKEN_RULE};

/// An error or a warning about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Full key, such as `Dns:Timeout`; the section, if the sentence names the key.
    pub key: String,
    /// Problem and remedy.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.what.starts_with(&self.key) {
            return f.write_str(&self.what);
        }
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// All findings about the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Findings that keep the process from starting.
    pub errors: Vec<Finding>,
    /// Findings that do not keep it from starting.
    pub warnings: Vec<Finding>,
}

impl Report {
    /// Adds a finding that keeps the process from starting.
    pub fn error(&mut self, key: &str, what: impl Into<String>) {
        self.errors.push(finding(key, what.into()));
    }

    /// Adds a finding about settings that may not do what was intended.
    pub fn warning(&mut self, key: &str, what: impl Into<String>) {
        self.warnings.push(finding(key, what.into()));
    }

    /// Requires a duration within bounds.
    pub fn duration(
        &mut self,
        key: &str,
        value: HumanDuration,
        bounds: RangeInclusive<HumanDuration>,
    ) {
        if let Err(error) = value.within(*bounds.start(), *bounds.end()) {
            self.error(key, error.to_string());
        }
    }

    /// Requires a number within bounds.
    pub fn count(&mut self, key: &str, value: u32, bounds: RangeInclusive<u32>) {
        if !bounds.contains(&value) {
            let (least, most) = bounds.into_inner();
            self.error(
                key,
                format!("is {value}, but must be from {least} to {most}"),
            );
        }
    }

    /// Requires a secret `X`, set by value or by `XFile`, that is usable as a bearer token.
    pub fn token<E: Error>(&mut self, key: &str, resolved: &Result<Option<Secret>, E>) {
        match resolved {
            Ok(Some(token)) if token.is_usable_token() => {}
            Ok(Some(_)) => self.error(key, TOKEN_RULE),
            Ok(None) => self.error(
                key,
                format!(
                    "is missing; set it, or set {key}File to a file with it (environment: {}File)",
                    key.replace(':', "__")
                ),
            ),
            Err(error) => self.error(key, with_causes(error)),
        }
    }
}

fn finding(key: &str, what: String) -> Finding {
    Finding {
        key: key.to_owned(),
        what,
    }
}
