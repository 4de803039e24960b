//! The checks of a domain that were made now: what would happen?

use askama::Template;
use dps_admin_api::{Diagnosis, DiagnosisRow};
use serde_json::Value;

use crate::chip;
use crate::html::Html;
use crate::page::{Page, took};

/// The page.
#[derive(Debug, Template)]
#[template(path = "diagnosis.html")]
pub struct DiagnosisView {
    /// The frame.
    pub page: Page,
    /// The checks.
    pub diagnosis: Diagnosis,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    reason = "templates call methods of the view, with references"
)]
impl DiagnosisView {
    fn chip(&self, row: &DiagnosisRow) -> Html {
        chip::check(self.page.t(), row.status, row.severity)
    }

    fn took(&self, millis: &u64) -> String {
        took(*millis)
    }

    fn details(&self, row: &DiagnosisRow) -> Option<String> {
        let is_empty = match &row.details {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        (!is_empty).then(|| format!("{:#}", row.details))
    }
}
