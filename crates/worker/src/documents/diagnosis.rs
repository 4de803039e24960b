//! The document of a diagnosis.

use std::time::Duration;

use dps_admin_api::{Diagnosis, DiagnosisRow};
use dps_application::operator::diagnose;
use dps_domain::Failure;
use dps_domain::diagnosis::Row;

/// The document of a diagnosis.
pub fn diagnosis(made: diagnose::Diagnosis) -> Diagnosis {
    Diagnosis {
        hostname: made.hostname,
        id: made.id,
        diagnosed_at: made.began_at,
        took_ms: millis(made.took),
        rows: made.rows.into_iter().map(row).collect(),
    }
}

fn row(row: Row) -> DiagnosisRow {
    DiagnosisRow {
        id: row.check.as_str().into(),
        subject: row.subject,
        status: row.status,
        severity: row.severity,
        code: row.failure.as_ref().map(Failure::code),
        message: row.message,
        details: row.details,
        took_ms: millis(row.took),
        remedy: row.remedy,
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
