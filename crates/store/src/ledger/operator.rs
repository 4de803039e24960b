//! Buckets as an operator lists and lifts them.

use dps_application::ports::store::StoreError;
use dps_domain::limits::{Bucket, BucketKey};

use super::bucket::{TABLE, find, lock_in_tx, read};
use crate::sql::{Database, Row, Sql, args, statements};

statements! {
    LIST = Sql::both(
        "SELECT bucket, full_at, spent, parked_until FROM rate_limit_buckets WHERE bucket > $1 \
         ORDER BY bucket LIMIT $2",
    );
    LIFT = Sql::both("DELETE FROM rate_limit_buckets WHERE bucket = $1");
    LIFT_SLOTS = Sql::both("DELETE FROM rate_limit_slots WHERE bucket = $1");
}

pub(crate) async fn bucket(database: &Database, key: &BucketKey) -> Result<Bucket, StoreError> {
    let mut session = database.read("read a limit of the CA").await?;
    find(&mut session, key).await
}

pub(crate) async fn buckets(
    database: &Database,
    after: &str,
    limit: u32,
) -> Result<Vec<(BucketKey, Bucket)>, StoreError> {
    let mut session = database.read("list the limits of the CA").await?;
    let rows = session.fetch_all(LIST, args![after, limit]).await?;
    let keyed = |row: &Row| {
        let key = BucketKey::stored(row.fields(TABLE, "bucket").key());
        Ok((key, read(Some(row))?))
    };
    rows.iter().map(keyed).collect()
}

pub(crate) async fn lift(database: &Database, key: &BucketKey) -> Result<(), StoreError> {
    let mut session = database.write("lift a limit of the CA").await?;
    // Locked first, as a debit does it, so that the two never wait for each other.
    lock_in_tx(&mut session, key).await?;
    session.execute(LIFT_SLOTS, args![key.as_str()]).await?;
    session.execute(LIFT, args![key.as_str()]).await?;
    session.commit().await
}
