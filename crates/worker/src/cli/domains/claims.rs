//! The claims of one hostname, for people.

use dps_application::ports::store::DomainRecord;
use dps_domain::Ownership;
use dps_domain::ownership::Basis;
use serde_json::{Value, json};

/// Records of one hostname that are shown.
pub(super) const MAX_CLAIMS: u32 = 20;

/// A tenant's ownership of a hostname in words, without the value that proves it.
pub(super) fn ownership_text(ownership: &Ownership) -> String {
    match ownership {
        Ownership::Open => "not proven".to_owned(),
        Ownership::Required { .. } => "a proof is required".to_owned(),
        Ownership::Held { basis, since, .. } => {
            let basis = match basis {
                Basis::Target => "proven by its target",
                Basis::Txt => "proven by TXT record",
                Basis::Uncontested => "uncontested",
            };
            format!("{basis} since {since}")
        }
    }
}

pub(super) fn claim_value(record: &DomainRecord) -> Value {
    json!({
        "id": record.id,
        "tenantId": record.tenant_id,
        "status": record.phase.status(),
        "ownership": ownership_text(&record.ownership),
    })
}
