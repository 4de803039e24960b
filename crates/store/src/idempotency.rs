//! Calls that carry an idempotency key, and their first answers.

use async_trait::async_trait;
use dps_application::ports::store::{IdempotencyStore, StoreError};
use dps_domain::Timestamp;
use dps_domain::idempotency::{KeptAnswer, KeptKey, KeyState, KeyedCall, MAX_KEYS};

use crate::connect::Store;
use crate::sql::{Row, Sql, args, statements};

const TABLE: &str = "idempotency_keys";
/// Precedes every time.
const BEFORE_ALL: Timestamp = Timestamp::from_unix_micros(-1);

statements! {
    FIND = Sql::both(
        "SELECT idempotency_key, fingerprint, begun_at, status, body FROM idempotency_keys \
         WHERE holder = $1 AND idempotency_key = $2",
    );
    COUNT = Sql::both(
        "SELECT COUNT(*) AS count FROM (SELECT 1 FROM idempotency_keys WHERE holder = $1 LIMIT $2) AS held",
    );
    /// Takes a key that is free, or that began at the given time.
    TAKE = Sql::both(
        "INSERT INTO idempotency_keys (holder, idempotency_key, fingerprint, begun_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (holder, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint, \
         begun_at = excluded.begun_at, status = NULL, body = NULL WHERE idempotency_keys.begun_at = $5",
    );
    ANSWER = Sql::both(
        "UPDATE idempotency_keys SET status = $4, body = $5 \
         WHERE holder = $1 AND idempotency_key = $2 AND begun_at = $3 AND status IS NULL",
    );
    RELEASE = Sql::both(
        "DELETE FROM idempotency_keys \
         WHERE holder = $1 AND idempotency_key = $2 AND begun_at = $3 AND status IS NULL",
    );
}

fn read(row: &Row) -> Result<KeptKey, StoreError> {
    let fields = row.fields(TABLE, "idempotency_key");
    let status: Option<i64> = fields.get("status")?;
    let body = fields.get("body")?;
    Ok(KeptKey {
        fingerprint: fields.get("fingerprint")?,
        begun_at: fields.at("begun_at")?,
        answer: status.map(|status| KeptAnswer {
            status: u16::try_from(status).unwrap_or(0),
            body,
        }),
    })
}

#[async_trait]
impl IdempotencyStore for Store {
    async fn keyed_begin(&self, call: &KeyedCall, now: Timestamp) -> Result<KeyState, StoreError> {
        let mut session = self.database.write("begin a keyed call").await?;
        let (holder, key) = (call.holder.as_str(), call.key.as_str());
        let row = session.fetch(FIND, args![holder, key]).await?;
        let kept = row.as_ref().map(read).transpose()?;
        if let Some(state) = kept.as_ref().and_then(|kept| kept.state_of(call, now)) {
            return Ok(state);
        }
        if kept.is_none() {
            let counted = session.fetch(COUNT, args![holder, MAX_KEYS]).await?;
            let counted = counted.map(|row| row.fields(TABLE, "count").count("count"));
            if counted.transpose()?.unwrap_or(0) >= u64::from(MAX_KEYS) {
                return Ok(KeyState::TooMany);
            }
        }
        let fingerprint = call.fingerprint.as_str();
        let before = kept.map_or(BEFORE_ALL, |kept| kept.begun_at);
        let taken = session
            .execute(TAKE, args![holder, key, fingerprint, now, before])
            .await?;
        session.commit().await?;
        // Otherwise, another process has just taken the key.
        Ok(if taken > 0 {
            KeyState::New
        } else {
            KeyState::UnderWay
        })
    }

    async fn keyed_answer(
        &self,
        call: &KeyedCall,
        begun_at: Timestamp,
        answer: &KeptAnswer,
    ) -> Result<bool, StoreError> {
        let mut session = self.database.write("keep an answer").await?;
        let args = args![
            call.holder.as_str(),
            call.key.as_str(),
            begun_at,
            u32::from(answer.status),
            answer.body.as_deref(),
        ];
        let kept = session.execute(ANSWER, args).await? > 0;
        session.commit().await?;
        Ok(kept)
    }

    async fn keyed_release(&self, call: &KeyedCall, begun_at: Timestamp) -> Result<(), StoreError> {
        let mut session = self.database.write("free an idempotency key").await?;
        let args = args![call.holder.as_str(), call.key.as_str(), begun_at];
        session.execute(RELEASE, args).await?;
        session.commit().await
    }
}
