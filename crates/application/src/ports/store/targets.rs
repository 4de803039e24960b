//! The tenants of targets, also of domains that are forgotten.

use async_trait::async_trait;
use dps_domain::ownership::TargetHolder;
use dps_domain::{Hostname, Timestamp};

use super::error::StoreError;

/// The tenants of targets. A row outlives the records of its domain, until it is pruned.
#[async_trait]
pub trait TargetStore: Send + Sync {
    /// Notes at `now` that a domain of the tenant has the target, unless another tenant's has or
    /// had it. Returns who has it then.
    async fn target_note(
        &self,
        target: &Hostname,
        tenant: &str,
        now: Timestamp,
    ) -> Result<TargetHolder, StoreError>;

    /// Who has or had the target.
    async fn target_holder(&self, target: &str) -> Result<TargetHolder, StoreError>;
}
