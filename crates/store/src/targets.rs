//! The tenants of targets, also of domains that are forgotten.

use async_trait::async_trait;
use dps_application::ports::store::{StoreError, TargetStore};
use dps_domain::ownership::TargetHolder;
use dps_domain::{Hostname, Timestamp};

use crate::connect::Store;
use crate::sql::{Row, Sql, args, statements};

const TABLE: &str = "target_tenants";

statements! {
    NOTE = Sql::both(
        "INSERT INTO target_tenants (target, tenant_id, noted_at) VALUES ($1, $2, $3) \
         ON CONFLICT (target) DO UPDATE SET noted_at = CASE WHEN target_tenants.tenant_id <> excluded.tenant_id \
         THEN target_tenants.noted_at ELSE excluded.noted_at END RETURNING tenant_id",
    );
    HOLDER = Sql::both("SELECT tenant_id FROM target_tenants WHERE target = $1");
}

fn read(row: Option<&Row>) -> Result<TargetHolder, StoreError> {
    let Some(row) = row else {
        return Ok(TargetHolder::Nobody);
    };
    let tenant: Option<String> = row.fields(TABLE, "tenant_id").get("tenant_id")?;
    Ok(tenant.map_or(TargetHolder::Several, TargetHolder::Tenant))
}

#[async_trait]
impl TargetStore for Store {
    async fn target_note(
        &self,
        target: &Hostname,
        tenant: &str,
        now: Timestamp,
    ) -> Result<TargetHolder, StoreError> {
        let mut session = self.database.write("note the tenant of a target").await?;
        let row = session.fetch(NOTE, args![target, tenant, now]).await?;
        let holder = read(row.as_ref())?;
        session.commit().await?;
        Ok(holder)
    }

    async fn target_holder(&self, target: &str) -> Result<TargetHolder, StoreError> {
        let mut session = self.database.read("read the tenant of a target").await?;
        let row = session.fetch(HOLDER, args![target]).await?;
        read(row.as_ref())
    }
}
