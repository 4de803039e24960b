//! Revocations of single certificates that operators requested: columns of `certificates`.

use async_trait::async_trait;
use dps_application::ports::store::{ClaimedRevocation, RevocationStore, StoreError};
use dps_domain::revocation::{RequestedRevocation, RevocationWrite};
use dps_domain::{CertificateId, Timestamp};

use crate::certificates;
use crate::connect::Store;
use crate::json::to_json;
use crate::sql::{Session, Sql, args, statements};

const TABLE: &str = "certificates";

statements! {
    SELECT = Sql::both("SELECT id, revocation FROM certificates WHERE id = $1");
    CLAIM = Sql::each(
        "UPDATE certificates SET revocation_due_at = $2 WHERE id = (SELECT id FROM certificates \
         WHERE revocation_due_at <= $1 ORDER BY revocation_due_at LIMIT 1 FOR UPDATE SKIP LOCKED) \
         RETURNING id, revocation",
        "UPDATE certificates SET revocation_due_at = $2 WHERE id = (SELECT id FROM certificates \
         WHERE revocation_due_at <= $1 ORDER BY revocation_due_at LIMIT 1) RETURNING id, revocation",
    );
    PUT_OFF = Sql::both(
        "UPDATE certificates SET revocation_due_at = $3 WHERE id = $1 AND revocation_due_at = $2",
    );
    /// Guarded by the claim if there is one (`$4`).
    WRITE = Sql::both(
        "UPDATE certificates SET revocation = $2, revocation_due_at = $3 \
         WHERE id = $1 AND (CAST($4 AS BIGINT) IS NULL OR revocation_due_at = $4)",
    );
    ERASE_KEY = Sql::both(
        "UPDATE certificates SET key_sealed = $2, superseded_at = NULL WHERE id = $1 AND NOT EXISTS (\
         SELECT 1 FROM custom_domains AS record WHERE record.id = certificates.domain_id \
         AND record.phase LIKE '%' || certificates.id || '%')",
    );
}

/// Writes a request, and erases the key if it says so. Returns whether the certificate is stored,
/// the claim holds, and the key could be erased.
pub(crate) async fn write_in_tx(
    session: &mut Session,
    write: &RevocationWrite,
) -> Result<bool, StoreError> {
    let args = args![
        write.certificate,
        to_json(&write.revocation),
        write.due_at,
        write.claim,
    ];
    if session.execute(WRITE, args).await? == 0 {
        return Ok(false);
    }
    let erased: &[u8] = &[];
    let args = args![write.certificate, erased];
    Ok(!write.erases_key || session.execute(ERASE_KEY, args).await? > 0)
}

#[async_trait]
impl RevocationStore for Store {
    async fn revocation(
        &self,
        certificate: CertificateId,
    ) -> Result<Option<RequestedRevocation>, StoreError> {
        let mut session = self.database.read("read a requested revocation").await?;
        let row = session.fetch(SELECT, args![certificate]).await?;
        row.map_or(Ok(None), |row| {
            row.fields(TABLE, "id").json_if_any("revocation")
        })
    }

    async fn revocation_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedRevocation>, StoreError> {
        let mut session = self.database.write("claim a requested revocation").await?;
        let row = session.fetch(CLAIM, args![now, until]).await?;
        session.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let fields = row.fields(TABLE, "id");
        let (id, revocation) = (fields.parse("id")?, fields.json("revocation")?);
        // It may have been forgotten with its domain meanwhile.
        let stored = certificates::by_id(&self.database, id).await?;
        Ok(stored.map(|stored| ClaimedRevocation {
            stored,
            revocation,
            claim: until,
        }))
    }

    async fn revocation_put_off(
        &self,
        claimed: &ClaimedRevocation,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut session = self
            .database
            .write("put off a requested revocation")
            .await?;
        let args = args![claimed.stored.certificate.id, claimed.claim, until];
        session.execute(PUT_OFF, args).await?;
        session.commit().await
    }
}
