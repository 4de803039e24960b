//! `dps config`: the check of the configuration, the plan of a change, and a sample.

pub mod plan;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use dps_host::MASK;
use dps_host::exit::UNUSABLE;
use dps_host::settings::{Loaded, Origin};
use serde_json::{Value, json};
use url::Url;

use super::output::{OutputError, unless_reader_gone};
use crate::config::{Finding, Role, Settings};

/// A configuration with a comment for every key.
pub const SAMPLE: &str = include_str!("../../../../docs/configuration/appsettings.sample.json");

/// Prints the effective settings with masked secrets on `out`, and problems and warnings on `err`.
///
/// # Errors
/// When nothing can be written.
pub fn check(
    config: Option<&Path>,
    role: Role,
    as_json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, OutputError> {
    let loaded = match Settings::load(config) {
        Ok(loaded) => loaded,
        Err(error) => {
            writeln!(err, "{error}")?;
            return Ok(ExitCode::from(UNUSABLE));
        }
    };
    let report = loaded.settings.check(role);
    let mut effective = serde_json::to_value(&loaded.settings).map_err(io::Error::from)?;
    effective["LetsEncrypt"]["Limits"] = loaded.settings.lets_encrypt.effective_limits_shown();
    mask_credentials(&mut effective);
    if as_json {
        let text =
            |findings: &[Finding]| findings.iter().map(Finding::to_string).collect::<Vec<_>>();
        let document = json!({
            "environment": loaded.environment,
            "files": loaded.files,
            "settings": effective,
            "errors": text(&report.errors),
            "warnings": text(&report.warnings),
        });
        unless_reader_gone(writeln!(out, "{document:#}"))?;
    } else {
        unless_reader_gone(write_effective(&loaded, &effective, out))?;
        for warning in &report.warnings {
            writeln!(err, "warning: {warning}")?;
        }
        for error in &report.errors {
            writeln!(err, "error: {error}")?;
        }
    }
    if report.errors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(UNUSABLE))
}

fn write_effective(
    loaded: &Loaded<Settings>,
    effective: &Value,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "Environment {}; configuration files, later ones override earlier ones:",
        loaded.environment
    )?;
    if loaded.files.is_empty() {
        writeln!(out, "  none found")?;
    }
    for file in &loaded.files {
        writeln!(out, "  {}", file.display())?;
    }
    let mut lines = BTreeMap::new();
    flatten(effective, &mut String::new(), &mut lines);
    let width = lines
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .max()
        .unwrap_or(0);
    for (key, value) in lines {
        let origin = loaded
            .origins
            .get(&key)
            .map_or_else(|| "default".to_owned(), Origin::to_string);
        let gap = " ".repeat(width - key.len() - value.len());
        writeln!(out, "{key} = {value}{gap}  ({origin})")?;
    }
    Ok(())
}

/// A URL with a password in it is reported as an error, and must not be repeated beside it.
fn mask_credentials(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(mask_credentials),
        Value::Array(items) => items.iter_mut().for_each(mask_credentials),
        Value::String(text) => {
            let Ok(mut url) = Url::parse(text) else {
                return;
            };
            let is_call = matches!(url.scheme(), "http" | "https");
            let masked = match url.password() {
                Some(MASK) => return,
                Some(_) => url.set_password(Some(MASK)),
                None if is_call && !url.username().is_empty() => url.set_username(MASK),
                None => return,
            };
            *text = masked.map_or_else(|()| MASK.to_owned(), |()| url.into());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One line for each key that has no keys below it.
fn flatten(value: &Value, key: &mut String, lines: &mut BTreeMap<String, String>) {
    let mut below = |part: &str, value: &Value| {
        let length = key.len();
        if length > 0 {
            key.push(':');
        }
        key.push_str(part);
        flatten(value, key, lines);
        key.truncate(length);
    };
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(part, value)| below(part, value));
        }
        Value::Array(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| below(&index.to_string(), value));
        }
        other => {
            lines.insert(key.clone(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let mut shown = json!({
            "A": { "BaseUrls": ["http://u:hunter2@edge/", "https://hunter2@edge/x"] },
            "B": ["postgres://u:***@db/dps", "https://edge/", "sqlite://dps.db", "2s"],
        });
        let untouched = shown["B"].clone();
        mask_credentials(&mut shown);
        assert_eq!(
            shown["A"]["BaseUrls"],
            json!(["http://u:***@edge/", "https://***@edge/x"])
        );
        assert_eq!(shown["B"], untouched);
    }
}
