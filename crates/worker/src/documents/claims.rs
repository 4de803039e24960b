//! The claims of one hostname, for people.

use dps_admin_api::Claim;
use dps_application::ports::store::DomainRecord;
use dps_domain::Ownership;
use dps_domain::ownership::Basis;

/// Records of one hostname that are shown.
pub(super) const MAX_CLAIMS: u32 = 20;

/// A tenant's ownership of a hostname in words, without the value that proves it.
pub fn ownership_text(ownership: &Ownership) -> String {
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

pub(super) fn claim(record: &DomainRecord) -> Claim {
    Claim {
        id: record.id,
        tenant_id: record.tenant_id.clone(),
        status: record.phase.status(),
        ownership: ownership_text(&record.ownership),
    }
}
