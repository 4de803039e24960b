//! `dps diagnose`: checks a domain now, for people and programs.

use dps_admin_api::{Diagnosis, DiagnosisRow};
use dps_domain::diagnosis::CheckStatus;
use serde_json::json;

use super::output::{OutputError, outln};

/// Prints the checks.
pub fn show(made: &Diagnosis, as_json: bool) -> Result<(), OutputError> {
    if as_json {
        return outln!("{:#}", json!(made));
    }
    show_rows(made)
}

fn show_rows(made: &Diagnosis) -> Result<(), OutputError> {
    outln!("{} ({})", made.hostname.to_unicode(), made.hostname)?;
    match made.rows.iter().find(|row| row.status != CheckStatus::Ok) {
        Some(row) => outln!("  Act on: {}", name(row))?,
        None => outln!("  Nothing is wrong.")?,
    }
    outln!("  Took {} ms", made.took_ms)?;
    for row in &made.rows {
        let code = row.code.map_or_else(String::new, |code| format!(" {code}"));
        let status = row.status.as_str();
        outln!("\n{status:<10} {}{code}", name(row))?;
        outln!("  {}", row.message)?;
        if let Some(remedy) = &row.remedy {
            outln!("  {remedy}")?;
        }
    }
    Ok(())
}

fn name(row: &DiagnosisRow) -> String {
    match &row.subject {
        Some(subject) => format!("{} of {subject}", row.id),
        None => row.id.to_string(),
    }
}
