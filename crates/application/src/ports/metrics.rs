//! What dashboards know by name.

use std::net::SocketAddr;

use dps_domain::lane::Lane;

use crate::local_fault::LocalParty;

/// Counts results. No label per hostname, ever.
pub trait Metrics: Send + Sync {
    /// One DNS check ended: `domain_verification_total`.
    fn domain_verification(&self, success: bool);
    /// One first issuance ended with a deployed certificate, or an attempt failed: `acme_issuance_total`.
    fn acme_issuance(&self, success: bool);
    /// One renewal ended with a deployed certificate, or an attempt failed: `renewal_total`.
    fn renewal(&self, success: bool);
    /// So many steps of a lane are under way in this process now: `work_in_flight`.
    fn under_way(&self, lane: Lane, steps: usize);
    /// An edge that lacked certificates took so many, and refused so many: `edge_filled_total`.
    fn edge_filled(&self, applied: usize, refused: usize);
    /// The CA was asked when to renew and answered, or did not: `acme_renewal_info_total`.
    fn renewal_info(&self, success: bool);
    /// Our own machine could not call a party: `local_fault_total`.
    fn local_fault(&self, party: LocalParty);
    /// A resolver did not resolve our own target: `dns_resolver_failures_total`.
    fn resolver_failed(&self, resolver: SocketAddr);
}
