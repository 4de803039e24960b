//! Orders and their published challenges.

use dps_application::ports::store::{StoreError, StoredChallenge, StoredOrder};
use dps_application::ports::vault::SealedSecret;
use dps_domain::{DomainId, LeaseToken, OrderId, Timestamp};

use crate::domains::lock::lock_leased_in_tx;
use crate::sql::{Database, Row, Session, Sql, args, readable, statements};

const TABLE: &str = "acme_orders";

macro_rules! columns {
    () => {
        "id, domain_id, directory_url, url, open, key_sealed, created_at"
    };
}

statements! {
    /// Their keys go with them: the record continues with the new order. Orders that a replica of
    /// an earlier version closed are without the time of their end.
    CLOSE_OTHERS = Sql::both(
        "UPDATE acme_orders SET open = FALSE, key_sealed = NULL, ended_at = $3 WHERE domain_id = $1 AND id <> $2 \
         AND (open OR (ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM certificates WHERE order_id = acme_orders.id)))",
    );
    INSERT = Sql::both(concat!(
        "INSERT INTO acme_orders (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET open = excluded.open, ended_at = NULL",
    ));
    SELECT = Sql::both(concat!("SELECT ", columns!(), " FROM acme_orders WHERE id = $1"));
    SELECT_OPEN = Sql::both(concat!("SELECT ", columns!(), " FROM acme_orders WHERE domain_id = $1 AND open"));
    PUT_KEY = Sql::both(
        "UPDATE acme_orders SET key_sealed = $2 WHERE id = $1 AND key_sealed IS NULL \
         AND NOT EXISTS (SELECT 1 FROM certificates WHERE order_id = $1)",
    );
    /// The key stays: a step may still find the order, and must not make another key for it. The
    /// order of a certificate ends with it.
    CLOSE = Sql::both(
        "UPDATE acme_orders SET open = FALSE, ended_at = CASE WHEN ended_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM certificates WHERE order_id = $1) THEN $2 ELSE ended_at END WHERE id = $1",
    );
    COMPLETE = Sql::both("UPDATE acme_orders SET open = FALSE, key_sealed = NULL, ended_at = NULL WHERE id = $1");
    END = Sql::both("UPDATE acme_orders SET ended_at = $2 WHERE id = $1 AND NOT open");
    PUT_CHALLENGE = Sql::both(
        "INSERT INTO acme_challenges (order_id, url, token, key_authorization) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (order_id) DO UPDATE SET url = excluded.url, token = excluded.token, \
         key_authorization = excluded.key_authorization",
    );
    SELECT_CHALLENGE = Sql::both(
        "SELECT order_id, url, token, key_authorization FROM acme_challenges WHERE order_id = $1",
    );
    SELECT_CHALLENGES = Sql::both(
        "SELECT order_id, acme_challenges.url, token, key_authorization FROM acme_challenges \
         JOIN acme_orders ON acme_orders.id = order_id WHERE open LIMIT $1",
    );
    DELETE_CHALLENGE = Sql::both("DELETE FROM acme_challenges WHERE order_id = $1");
}

fn read(row: &Row) -> Result<StoredOrder, StoreError> {
    let fields = row.fields(TABLE, "id");
    Ok(StoredOrder {
        id: fields.parse("id")?,
        domain_id: fields.parse("domain_id")?,
        directory_url: fields.get("directory_url")?,
        url: fields.get("url")?,
        open: fields.get("open")?,
        key: fields
            .get::<Option<Vec<u8>>>("key_sealed")?
            .map(SealedSecret),
        created_at: fields.at("created_at")?,
    })
}

pub(crate) async fn insert(
    database: &Database,
    order: &StoredOrder,
    token: LeaseToken,
) -> Result<(), StoreError> {
    let mut session = database.write("store an order").await?;
    lock_leased_in_tx(&mut session, order.domain_id, token).await?;
    if order.open {
        session
            .execute(
                CLOSE_OTHERS,
                args![order.domain_id, order.id, order.created_at],
            )
            .await?;
    }
    let args = args![
        order.id,
        order.domain_id,
        order.directory_url.as_str(),
        order.url.as_str(),
        order.open,
        order.key.as_ref().map(|key| key.0.as_slice()),
        order.created_at,
    ];
    session.execute(INSERT, args).await?;
    session.commit().await
}

pub(crate) async fn by_id(
    database: &Database,
    id: OrderId,
) -> Result<Option<StoredOrder>, StoreError> {
    let mut session = database.read("read an order").await?;
    session
        .fetch(SELECT, args![id])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn open_of(
    database: &Database,
    domain: DomainId,
) -> Result<Option<StoredOrder>, StoreError> {
    let mut session = database.read("find an open order").await?;
    session
        .fetch(SELECT_OPEN, args![domain])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

pub(crate) async fn put_key(
    database: &Database,
    id: OrderId,
    key: &SealedSecret,
) -> Result<SealedSecret, StoreError> {
    let mut session = database.write("store an order's key").await?;
    session
        .execute(PUT_KEY, args![id, key.0.as_slice()])
        .await?;
    let row = session.fetch(SELECT, args![id]).await?;
    let Some(order) = row.as_ref().map(read).transpose()? else {
        return Err(StoreError::Corrupt {
            table: TABLE,
            row: id.to_string(),
            reason: "the order is not stored".to_owned(),
        });
    };
    session.commit().await?;
    order.key.ok_or(StoreError::LeaseLost)
}

pub(crate) async fn close(
    database: &Database,
    id: OrderId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut session = database.write("close an order").await?;
    session.execute(CLOSE, args![id, now]).await?;
    session.commit().await
}

/// The order's certificate is stored, and its key with it.
pub(crate) async fn complete_in_tx(session: &mut Session, id: OrderId) -> Result<(), StoreError> {
    session.execute(COMPLETE, args![id]).await.map(drop)
}

/// The order's certificate is retired; the order ended at this time.
pub(crate) async fn end_in_tx(
    session: &mut Session,
    id: OrderId,
    at: Timestamp,
) -> Result<(), StoreError> {
    session.execute(END, args![id, at]).await.map(drop)
}

pub(crate) async fn put_challenge(
    database: &Database,
    challenge: &StoredChallenge,
) -> Result<(), StoreError> {
    let mut session = database.write("store a challenge").await?;
    let args = args![
        challenge.order_id,
        challenge.url.as_str(),
        challenge.token.as_str(),
        challenge.key_authorization.as_str(),
    ];
    session.execute(PUT_CHALLENGE, args).await?;
    session.commit().await
}

pub(crate) async fn challenge(
    database: &Database,
    order: OrderId,
) -> Result<Option<StoredChallenge>, StoreError> {
    let mut session = database.read("read a challenge").await?;
    session
        .fetch(SELECT_CHALLENGE, args![order])
        .await?
        .as_ref()
        .map(read_challenge)
        .transpose()
}

/// Those of open orders.
pub(crate) async fn challenges(
    database: &Database,
    limit: u32,
) -> Result<Vec<StoredChallenge>, StoreError> {
    let mut session = database.read("read the challenges under way").await?;
    let rows = session.fetch_all(SELECT_CHALLENGES, args![limit]).await?;
    Ok(readable(&rows, read_challenge))
}

fn read_challenge(row: &Row) -> Result<StoredChallenge, StoreError> {
    let fields = row.fields("acme_challenges", "order_id");
    Ok(StoredChallenge {
        order_id: fields.parse("order_id")?,
        url: fields.get("url")?,
        token: fields.get("token")?,
        key_authorization: fields.get("key_authorization")?,
    })
}

pub(crate) async fn delete_challenge(
    database: &Database,
    order: OrderId,
) -> Result<(), StoreError> {
    let mut session = database.write("withdraw a challenge").await?;
    session.execute(DELETE_CHALLENGE, args![order]).await?;
    session.commit().await
}
