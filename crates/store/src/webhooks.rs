//! Events that wait for the receivers of webhooks, in order per domain.
//!
//! Only the oldest waiting event of a domain has a due time at each receiver; the others get theirs
//! when it ends. An event that an operator requested has one until it takes its place in the order.
//! A transaction that adds an event has written the domain's row, and one that ends
//! an event locks it. Otherwise two of them could each leave the next event to the other.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use dps_application::ports::store::{
    GiveUp, Redelivered, Redelivery, StoreError, WebhookDelivery, WebhookState, WebhookStore,
    WebhooksWaiting,
};
use dps_domain::action::OperatorAction;
use dps_domain::webhook::{WebhookEvent, WebhookReceiver};
use dps_domain::{DomainId, Timestamp};

use crate::actions;
use crate::connect::Store;
use crate::domains::lock::lock_in_tx;
use crate::sql::{Row, Session, Sql, args, statements};

const TABLE: &str = "webhook_deliveries";

/// The rows that have not ended. Two indexes hold these alone, under the same condition.
macro_rules! waiting {
    () => {
        "state IN ('pending', 'requested')"
    };
}

statements! {
    INSERT = Sql::both(concat!(
        "INSERT INTO webhook_deliveries (receiver, event_id, domain_id, body, state, attempt, due_at, pending_since, created_at) \
         VALUES ($1, $2, $3, $4, 'pending', 0, CASE WHEN EXISTS (SELECT 1 FROM webhook_deliveries \
         WHERE receiver = $1 AND domain_id = $3 AND ", waiting!(), ") THEN NULL ELSE CAST($5 AS BIGINT) END, $5, $5) \
         ON CONFLICT (event_id, receiver) DO NOTHING",
    ));
    NEXT_DUE = Sql::both(
        "SELECT MIN(due_at) AS at FROM webhook_deliveries WHERE receiver = $1 AND due_at IS NOT NULL",
    );
    DUE = Sql::both(
        "SELECT id, event_id, domain_id, body, attempt, state FROM webhook_deliveries \
         WHERE receiver = $1 AND due_at IS NOT NULL AND due_at <= $2 ORDER BY due_at, id LIMIT $3",
    );
    /// All waiting events of a domain take their order again.
    ADOPT = Sql::both(concat!(
        "UPDATE webhook_deliveries SET attempt = CASE WHEN state = 'requested' THEN 0 ELSE attempt END, \
         state = 'pending', due_at = NULL, ended_at = NULL WHERE receiver = $1 AND domain_id = $2 AND ", waiting!(),
    ));
    PROMOTE = Sql::both(concat!(
        "UPDATE webhook_deliveries SET due_at = $3 WHERE due_at IS NULL AND id = (SELECT MIN(id) \
         FROM webhook_deliveries WHERE receiver = $1 AND domain_id = $2 AND ", waiting!(), ")",
    ));
    END = Sql::both(concat!(
        "UPDATE webhook_deliveries SET state = $2, due_at = NULL, ended_at = $3 WHERE id = $1 AND ", waiting!(),
    ));
    RETRY = Sql::both(
        "UPDATE webhook_deliveries SET due_at = $2, attempt = attempt + 1 WHERE id = $1 AND state = 'pending'",
    );
    OLDEST = Sql::both(concat!(
        "SELECT id, domain_id, pending_since FROM webhook_deliveries WHERE receiver = $1 AND ", waiting!(),
        " ORDER BY pending_since, id LIMIT $2",
    ));
    COUNT = Sql::both(concat!(
        "SELECT COUNT(*) AS events, MIN(pending_since) AS oldest FROM (SELECT pending_since FROM webhook_deliveries \
         WHERE receiver = $1 AND ", waiting!(), " ORDER BY pending_since LIMIT $2) AS counted",
    ));
    /// One step in the index for each receiver, instead of all of its rows.
    RECEIVERS = Sql::both(concat!(
        "WITH RECURSIVE known (receiver) AS (SELECT MIN(receiver) FROM webhook_deliveries WHERE ", waiting!(),
        " UNION ALL SELECT (SELECT MIN(receiver) FROM webhook_deliveries WHERE receiver > known.receiver AND ",
        waiting!(), ") FROM known WHERE known.receiver IS NOT NULL) \
         SELECT receiver FROM known WHERE receiver IS NOT NULL",
    ));
    REQUEST_EVENT = Sql::both(
        "UPDATE webhook_deliveries SET state = 'requested', due_at = $3, pending_since = $3 WHERE event_id = $1 \
         AND ($2 = '' OR receiver = $2) AND state IN ('delivered', 'failed')",
    );
    REQUEST_SINCE = Sql::both(
        "UPDATE webhook_deliveries SET state = 'requested', due_at = $3, pending_since = $3 WHERE created_at >= $1 \
         AND ($2 = '' OR receiver = $2) AND state IN ('delivered', 'failed')",
    );
    STATE = Sql::both(concat!(
        "SELECT receiver, COUNT(CASE WHEN ", waiting!(), " THEN 1 END) AS pending, \
         COUNT(CASE WHEN state = 'failed' THEN 1 END) AS failed, \
         MIN(CASE WHEN ", waiting!(), " THEN pending_since END) AS oldest, \
         MAX(CASE WHEN state = 'delivered' THEN ended_at END) AS last_success \
         FROM webhook_deliveries GROUP BY receiver ORDER BY receiver",
    ));
}

/// Whether any of the receivers wants any of the events.
pub(crate) fn are_wanted(events: &[WebhookEvent], receivers: &[WebhookReceiver]) -> bool {
    let mut receivers = receivers.iter();
    receivers.any(|receiver| events.iter().any(|event| receiver.wants(event)))
}

/// Adds events for the receivers that want them. The caller has written the domain's row in the
/// same transaction.
pub(crate) async fn enqueue_in_tx(
    session: &mut Session,
    events: &[WebhookEvent],
    receivers: &[WebhookReceiver],
) -> Result<(), StoreError> {
    for event in events {
        let wanting = receivers.iter().filter(|receiver| receiver.wants(event));
        for receiver in wanting {
            let args = args![
                receiver.name.as_str(),
                event.id(),
                event.domain_id,
                event.body(),
                event.at,
            ];
            session.execute(INSERT, args).await?;
        }
    }
    Ok(())
}

fn read(row: &Row) -> Result<WebhookDelivery, StoreError> {
    let fields = row.fields(TABLE, "id");
    Ok(WebhookDelivery {
        id: fields.get("id")?,
        event_id: fields.get("event_id")?,
        domain_id: fields.parse("domain_id")?,
        body: fields.get("body")?,
        attempt: fields.count("attempt")?,
    })
}

/// The domains of which a row is requested, in the order of their locks.
fn requested_domains(rows: &[Row]) -> Result<BTreeSet<DomainId>, StoreError> {
    let mut domains = BTreeSet::new();
    for row in rows {
        if is_requested(row)? {
            domains.insert(row.fields(TABLE, "id").parse("domain_id")?);
        }
    }
    Ok(domains)
}

/// Ends a delivery that has not ended; returns whether it did.
async fn end_in_tx(
    session: &mut Session,
    id: i64,
    state: &'static str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    Ok(session.execute(END, args![id, state, now]).await? > 0)
}

/// Makes the oldest waiting event of a domain due. The caller has locked the domain's row.
async fn promote_in_tx(
    session: &mut Session,
    receiver: &str,
    domain: DomainId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let args = args![receiver, domain, now];
    session.execute(PROMOTE, args).await.map(drop)
}

/// Counts the events that wait for a receiver; `None` without any.
async fn waiting_in_tx(
    session: &mut Session,
    receiver: &str,
    most: u32,
) -> Result<Option<WebhooksWaiting>, StoreError> {
    let row = session.fetch(COUNT, args![receiver, most]).await?;
    let Some(row) = row else { return Ok(None) };
    let fields = row.fields(TABLE, "events");
    let (events, oldest) = (fields.count("events")?, fields.at_if_any("oldest")?);
    Ok(oldest.map(|oldest| WebhooksWaiting {
        receiver: receiver.to_owned(),
        events,
        oldest,
    }))
}

fn is_requested(row: &Row) -> Result<bool, StoreError> {
    let state: String = row.fields(TABLE, "id").get("state")?;
    Ok(state == "requested")
}

fn read_state(row: &Row) -> Result<WebhookState, StoreError> {
    let fields = row.fields(TABLE, "receiver");
    Ok(WebhookState {
        receiver: fields.get("receiver")?,
        pending: fields.count("pending")?,
        failed: fields.count("failed")?,
        oldest_pending: fields.at_if_any("oldest")?,
        last_success: fields.at_if_any("last_success")?,
    })
}

#[async_trait]
impl WebhookStore for Store {
    async fn webhooks_next_due(&self, receiver: &str) -> Result<Option<Timestamp>, StoreError> {
        let mut session = self.database.read("find the next due webhook").await?;
        match session.fetch(NEXT_DUE, args![receiver]).await? {
            Some(row) => row.fields(TABLE, "at").at_if_any("at"),
            None => Ok(None),
        }
    }

    async fn webhooks_due(
        &self,
        receiver: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let mut session = self.database.read("read due webhooks").await?;
        let due = args![receiver, now, limit];
        let mut rows = session.fetch_all(DUE, due.clone()).await?;
        drop(session);
        let requested = requested_domains(&rows)?;
        if !requested.is_empty() {
            let mut session = self.database.write("take requested webhooks").await?;
            for domain in requested {
                lock_in_tx(&mut session, domain).await?;
                session.execute(ADOPT, args![receiver, domain]).await?;
                promote_in_tx(&mut session, receiver, domain, now).await?;
            }
            rows = session.fetch_all(DUE, due).await?;
            session.commit().await?;
        }
        let mut deliveries: Vec<WebhookDelivery> = Vec::with_capacity(rows.len());
        for row in &rows {
            // A row that was requested meanwhile waits for the next call.
            if !is_requested(row)? {
                deliveries.push(read(row)?);
            }
        }
        deliveries.sort_by_key(|delivery| delivery.id);
        let mut domains = HashSet::new();
        deliveries.retain(|delivery| domains.insert(delivery.domain_id));
        Ok(deliveries)
    }

    async fn webhook_finish(
        &self,
        receiver: &str,
        delivery: &WebhookDelivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let domain = delivery.domain_id;
        let mut session = self.database.write("finish a webhook").await?;
        lock_in_tx(&mut session, domain).await?;
        end_in_tx(&mut session, delivery.id, "delivered", now).await?;
        promote_in_tx(&mut session, receiver, domain, now).await?;
        session.commit().await
    }

    async fn webhook_retry(
        &self,
        delivery: &WebhookDelivery,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut session = self.database.write_singly("put a webhook off").await?;
        session.execute(RETRY, args![delivery.id, at]).await?;
        Ok(())
    }

    async fn webhooks_give_up(&self, which: GiveUp<'_>, now: Timestamp) -> Result<u32, StoreError> {
        let receiver = which.receiver;
        let mut session = self.database.read("find webhooks to give up").await?;
        let most = which.keep.saturating_add(which.limit);
        let waiting = waiting_in_tx(&mut session, receiver, most).await?;
        let beyond = waiting.map_or(0, |waiting| waiting.events.saturating_sub(which.keep));
        let rows = session
            .fetch_all(OLDEST, args![receiver, which.limit])
            .await?;
        drop(session);
        // By domain: every transaction that locks several records does so in this order.
        let mut ending: BTreeMap<DomainId, Vec<i64>> = BTreeMap::new();
        for (index, row) in (0u32..).zip(&rows) {
            let fields = row.fields(TABLE, "id");
            if index < beyond || fields.at("pending_since")? <= which.before {
                let of_domain = ending.entry(fields.parse("domain_id")?).or_default();
                of_domain.push(fields.get("id")?);
            }
        }
        if ending.is_empty() {
            return Ok(0);
        }
        let mut ended = 0;
        let mut session = self.database.write("give webhooks up").await?;
        for (domain, ids) in ending {
            lock_in_tx(&mut session, domain).await?;
            for id in ids {
                ended += u32::from(end_in_tx(&mut session, id, "failed", now).await?);
            }
            promote_in_tx(&mut session, receiver, domain, now).await?;
        }
        session.commit().await?;
        Ok(ended)
    }

    async fn webhooks_waiting(&self, most: u32) -> Result<Vec<WebhooksWaiting>, StoreError> {
        let mut session = self.database.read("count waiting webhooks").await?;
        let mut found = Vec::new();
        for row in session.fetch_all(RECEIVERS, Vec::new()).await? {
            let receiver: String = row.fields(TABLE, "receiver").get("receiver")?;
            found.extend(waiting_in_tx(&mut session, &receiver, most).await?);
        }
        Ok(found)
    }

    async fn webhooks_redeliver(
        &self,
        redelivery: &Redelivery,
        action: &OperatorAction,
    ) -> Result<u64, StoreError> {
        let mut session = self.database.write("request webhooks again").await?;
        let receiver = redelivery.receiver.as_deref().unwrap_or_default();
        let requested = match &redelivery.which {
            Redelivered::Event(id) => {
                let args = args![id.as_str(), receiver, action.at];
                session.execute(REQUEST_EVENT, args).await?
            }
            Redelivered::Since(since) => {
                let args = args![*since, receiver, action.at];
                session.execute(REQUEST_SINCE, args).await?
            }
        };
        if requested > 0 {
            let action = action.clone().of_many(requested);
            actions::insert_in_tx(&mut session, self.new_action_id(action.at), &action).await?;
        }
        session.commit().await?;
        Ok(requested)
    }

    async fn webhooks_state(&self) -> Result<Vec<WebhookState>, StoreError> {
        let mut session = self.database.read("read the state of webhooks").await?;
        let rows = session.fetch_all(STATE, Vec::new()).await?;
        rows.iter().map(read_state).collect()
    }
}
