//! Section `Workers:Shares`: guaranteed shares of the permits for work at the CA.

use dps_application::Policy;
use serde::{Deserialize, Serialize};

use super::super::report::Report;

/// Guaranteed shares in percent, 1 to 97 each and at most 100 in total. The permits are
/// `Workers:AcmeIssuance:Concurrency` and `Workers:Renewal:Concurrency` together. Unused permits
/// are lent to the others, in this order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Shares {
    /// Renewals of certificates in the last tenth of their lifetime, and of revoked ones.
    pub urgent: u32,
    /// Other renewals.
    pub renewal: u32,
    /// First issuances.
    pub first_issuance: u32,
    /// Domains with many consecutive failures on the customer's side.
    pub chronic: u32,
}

impl Default for Shares {
    fn default() -> Self {
        let shares = Policy::default().shares;
        Self {
            urgent: shares.urgent,
            renewal: shares.renewal,
            first_issuance: shares.first_issuance,
            chronic: shares.chronic,
        }
    }
}

impl Shares {
    fn all(&self) -> [(&'static str, u32); 4] {
        [
            ("Urgent", self.urgent),
            ("Renewal", self.renewal),
            ("FirstIssuance", self.first_issuance),
            ("Chronic", self.chronic),
        ]
    }

    pub(super) fn policy(&self) -> dps_application::Shares {
        dps_application::Shares {
            urgent: self.urgent,
            renewal: self.renewal,
            first_issuance: self.first_issuance,
            chronic: self.chronic,
        }
    }

    pub(super) fn check(&self, permits: u32, report: &mut Report) {
        for (name, percent) in self.all() {
            report.count(&format!("Workers:Shares:{name}"), percent, 1..=97);
        }
        let sum: u64 = self
            .all()
            .iter()
            .map(|(_, percent)| u64::from(*percent))
            .sum();
        if sum > 100 {
            let what = format!(
                "is {sum} percent in total, but must not exceed 100; lower Urgent, Renewal, FirstIssuance \
                 or Chronic"
            );
            report.error("Workers:Shares", what);
        }
        if permits < 4 {
            let what = format!(
                "and Workers:Renewal:Concurrency are {permits} in total, but must be at least 4, since four \
                 kinds of work share them"
            );
            report.error("Workers:AcmeIssuance:Concurrency", what);
        }
    }
}
