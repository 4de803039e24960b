//! Values that are generated once for an installation and kept in its store.

use dps_application::ports::store::StoreError;
use dps_domain::shard::ShardKey;

use crate::connect::Store;
use crate::sql::{Sql, args, statements};

const TABLE: &str = "installation";
const SHARD_KEY: &str = "shard_key";

statements! {
    SELECT = Sql::both("SELECT name, value FROM installation WHERE name = $1");
    /// Unless another process was first.
    DRAW = Sql::both("INSERT INTO installation (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
}

impl Store {
    /// The secret by which tenants are dealt to shards, drawn by whichever process needs it first.
    pub(crate) async fn shard_key(&self) -> Result<ShardKey, StoreError> {
        let key = self.shard_key.get_or_try_init(|| async {
            match self.stored_shard_key().await? {
                Some(key) => Ok(key),
                None => self.draw_shard_key().await,
            }
        });
        key.await.copied()
    }

    async fn stored_shard_key(&self) -> Result<Option<ShardKey>, StoreError> {
        let mut session = self.database.read("read the key of the shards").await?;
        let Some(row) = session.fetch(SELECT, args![SHARD_KEY]).await? else {
            return Ok(None);
        };
        let value: Vec<u8> = row.fields(TABLE, "name").get("value")?;
        let bytes = value.try_into().map_err(|_| StoreError::Corrupt {
            table: TABLE,
            row: SHARD_KEY.to_owned(),
            reason: "column value: it must have 16 bytes".to_owned(),
        })?;
        Ok(Some(ShardKey::from_bytes(bytes)))
    }

    async fn draw_shard_key(&self) -> Result<ShardKey, StoreError> {
        let random = [self.randomness.id_bytes(), self.randomness.id_bytes()].concat();
        let mut session = self.database.write("draw the key of the shards").await?;
        session
            .execute(DRAW, args![SHARD_KEY, &random[..16]])
            .await?;
        session.commit().await?;
        let stored = self.stored_shard_key().await?;
        stored.ok_or_else(|| StoreError::Corrupt {
            table: TABLE,
            row: SHARD_KEY.to_owned(),
            reason: "it is not stored".to_owned(),
        })
    }
}
