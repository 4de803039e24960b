//! Names that tell their number, so that no model needs a table of them.

use dps_domain::{DomainId, Hostname};
use uuid::Uuid;

/// Where customers point.
pub const TARGET: &str = "edge.platform.example";

/// The hostname of a domain. `per_registered_domain` of them share a registered domain.
pub fn hostname(number: u32, per_registered_domain: u32) -> String {
    let owner = number / per_registered_domain.max(1);
    format!("s{number}.c{owner}.example")
}

/// The domain's number.
pub fn number(hostname: &Hostname) -> Option<u32> {
    number_in(hostname.as_str())
}

/// The number in a hostname's text.
pub fn number_in(hostname: &str) -> Option<u32> {
    let (first, _) = hostname.strip_prefix('s')?.split_once('.')?;
    first.parse().ok()
}

/// The Cabinet's identifier of a domain.
pub fn id(number: u32) -> DomainId {
    DomainId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

/// The number of an identifier.
pub fn number_of_id(id: DomainId) -> Option<u32> {
    u32::try_from(id.as_uuid().as_u128().checked_sub(1)?).ok()
}
