//! The counters that dashboards know by name.

/// Counts results. No label per hostname, ever.
pub trait Metrics: Send + Sync {
    /// One DNS check ended: `domain_verification_total`.
    fn domain_verification(&self, success: bool);
    /// One first issuance ended with a deployed certificate, or an attempt failed: `acme_issuance_total`.
    fn acme_issuance(&self, success: bool);
    /// One renewal ended with a deployed certificate, or an attempt failed: `renewal_total`.
    fn renewal(&self, success: bool);
}
