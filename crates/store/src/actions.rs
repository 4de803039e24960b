//! The record of operators' actions.

use async_trait::async_trait;
use dps_application::ports::store::{ActionStore, RecordedAction, StoreError};
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::{ActionId, Timestamp};

use crate::connect::Store;
use crate::cursors;
use crate::sql::{Row, Session, Sql, args, readable, statements};

const TABLE: &str = "operator_actions";
/// Follows every identifier.
const AFTER_ALL: &str = "~";

statements! {
    INSERT = Sql::both(
        "INSERT INTO operator_actions (id, at, who, source, role, kind, scope, subject, reason, before, after, count) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    );
    NEWEST = Sql::both(
        "SELECT id, at, who, source, role, kind, scope, subject, reason, before, after, count FROM operator_actions \
         WHERE id < $1 ORDER BY id DESC LIMIT $2",
    );
}

impl Store {
    /// The identifier of an action at this time. Several in a millisecond are in any order.
    pub(crate) fn new_action_id(&self, at: Timestamp) -> ActionId {
        ActionId::new(at, self.randomness.id_bytes())
    }
}

/// Records an action in the transaction of what it does.
pub(crate) async fn insert_in_tx(
    session: &mut Session,
    id: ActionId,
    action: &OperatorAction,
) -> Result<(), StoreError> {
    let args = args![
        id.to_string(),
        action.at,
        action.who.as_str(),
        action.source.as_str(),
        action.role.as_str(),
        action.kind.as_str(),
        action.scope.as_str(),
        action.subject.as_str(),
        action.reason.as_deref(),
        action.before.as_str(),
        action.after.as_str(),
        action.count,
    ];
    session.execute(INSERT, args).await?;
    Ok(())
}

fn read(row: &Row) -> Result<RecordedAction, StoreError> {
    let fields = row.fields(TABLE, "id");
    let text = |column| fields.get::<String>(column);
    let count: Option<i64> = fields.get("count")?;
    Ok(RecordedAction {
        id: fields.parse("id")?,
        action: OperatorAction {
            at: fields.at("at")?,
            who: text("who")?,
            source: text("source")?,
            role: text("role")?,
            kind: ActionKind::named(&text("kind")?),
            scope: ActionScope::named(&text("scope")?),
            subject: text("subject")?,
            reason: fields.get("reason")?,
            before: text("before")?,
            after: text("after")?,
            count: count.map(|count| u64::try_from(count).unwrap_or(0)),
        },
    })
}

#[async_trait]
impl ActionStore for Store {
    async fn action_insert(&self, action: &OperatorAction) -> Result<(), StoreError> {
        let mut session = self.database.write("record an action").await?;
        insert_in_tx(&mut session, self.new_action_id(action.at), action).await?;
        session.commit().await
    }

    async fn cursor_advance_by(
        &self,
        name: &str,
        from: Option<&str>,
        to: &str,
        action: &OperatorAction,
    ) -> Result<bool, StoreError> {
        let mut session = self.database.write("move a cursor").await?;
        let moved = cursors::advance_in_tx(&mut session, name, from, to).await?;
        if moved {
            insert_in_tx(&mut session, self.new_action_id(action.at), action).await?;
        }
        session.commit().await?;
        Ok(moved)
    }

    async fn actions(
        &self,
        before: Option<ActionId>,
        limit: u32,
    ) -> Result<Vec<RecordedAction>, StoreError> {
        let mut session = self.database.read("list the actions").await?;
        let mut before = before.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let mut page = Vec::new();
        // A page continues after its last row, which may be one that cannot be read.
        loop {
            let rows = session
                .fetch_all(NEWEST, args![before.as_str(), limit])
                .await?;
            page.extend(readable(&rows, read));
            let last = rows
                .last()
                .map(|row| row.fields(TABLE, "id").key().to_owned());
            let is_end = rows.len() < limit as usize || page.len() >= limit as usize;
            match last {
                Some(last) if !is_end => before = last,
                Some(_) | None => break,
            }
        }
        page.truncate(limit as usize);
        Ok(page)
    }
}
