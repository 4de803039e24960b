//! The pauses of issuance.

use async_trait::async_trait;
use dps_application::ports::store::{PauseStore, StoreError, WaitingOrders};
use dps_domain::action::{ActionScope, OperatorAction};
use dps_domain::pause::{Pause, PauseScope};
use dps_domain::record::DomainRecord;
use dps_domain::{Actor, FailureCode, Status, Timestamp};

use crate::actions;
use crate::connect::Store;
use crate::fleet_view::record_of_place;
use crate::sql::{Row, Sql, args, readable, statements};

pub(crate) const TABLE: &str = "issuance_pauses";

/// Whether a pause covers a tenant and hostname.
macro_rules! covers {
    ($tenant:literal, $hostname:literal) => {
        concat!(
            "(scope = 'all' AND subject = '') OR (scope = 'tenant' AND subject = ",
            $tenant,
            ") OR (scope = 'domain' AND subject = ",
            $hostname,
            ")"
        )
    };
}
pub(crate) use covers;

/// The number of pauses that cover a record.
macro_rules! pauses_of_record {
    () => {
        concat!(
            "(SELECT COUNT(*) FROM issuance_pauses WHERE ",
            $crate::pauses::covers!("record.tenant_id", "record.hostname"),
            ") AS pauses"
        )
    };
}
pub(crate) use pauses_of_record;

macro_rules! waiting {
    ($records:expr) => {
        concat!(
            "SELECT COUNT(*) AS domains, COUNT(CASE WHEN record.urgent_from <= $4 THEN 1 END) AS urgent, \
             COUNT(CASE WHEN substr(record.phase, 1, 11) = '{\"expired\":' THEN 1 END) AS ended, \
             MIN(record.serving_not_after) AS soonest_end FROM ",
            $records,
            " WHERE place.status = $1 AND place.actor = $2 AND place.failure_code = $3",
        )
    };
}

statements! {
    PUT = Sql::both(
        "INSERT INTO issuance_pauses (scope, subject, since, who, reason) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (scope, subject) DO UPDATE SET who = excluded.who, reason = excluded.reason",
    );
    DELETE = Sql::both("DELETE FROM issuance_pauses WHERE scope = $1 AND subject = $2");
    LIST = Sql::both(
        "SELECT scope, subject, since, who, reason FROM issuance_pauses WHERE (scope, subject) > ($1, $2) \
         ORDER BY scope, subject LIMIT $3",
    );
    COVERING = Sql::both(concat!(
        "SELECT scope, subject, since, who, reason FROM issuance_pauses WHERE ", covers!("$1", "$2"),
    ));
    /// The domains of one state. `$4` is the present.
    WAITING = Sql::each(
        waiting!(concat!("domain_states", record_of_place!())),
        waiting!("domain_states AS place CROSS JOIN custom_domains AS record ON record.id = place.domain_id"),
    );
}

fn read(row: &Row) -> Result<Pause, StoreError> {
    let fields = row.fields(TABLE, "subject");
    let (scope, subject): (String, String) = (fields.get("scope")?, fields.get("subject")?);
    let kind = ActionScope::named(&scope);
    let scope = PauseScope::of(kind, &subject).ok_or_else(|| StoreError::Corrupt {
        table: TABLE,
        row: format!("{scope} {subject}"),
        reason: "it is no scope of a pause".to_owned(),
    })?;
    Ok(Pause {
        scope,
        since: fields.at("since")?,
        who: fields.get("who")?,
        reason: fields.get("reason")?,
    })
}

#[async_trait]
impl PauseStore for Store {
    async fn pause_put(&self, pause: &Pause, action: &OperatorAction) -> Result<(), StoreError> {
        let mut session = self.database.write("pause issuance").await?;
        let args = args![
            pause.scope.kind().as_str(),
            pause.scope.subject(),
            pause.since,
            pause.who.as_str(),
            pause.reason.as_deref(),
        ];
        session.execute(PUT, args).await?;
        actions::insert_in_tx(&mut session, self.new_action_id(action.at), action).await?;
        session.commit().await
    }

    async fn pause_delete(
        &self,
        scope: &PauseScope,
        action: &OperatorAction,
    ) -> Result<bool, StoreError> {
        let mut session = self.database.write("end a pause of issuance").await?;
        let args = args![scope.kind().as_str(), scope.subject()];
        let was_paused = session.execute(DELETE, args).await? > 0;
        if was_paused {
            actions::insert_in_tx(&mut session, self.new_action_id(action.at), action).await?;
        }
        session.commit().await?;
        Ok(was_paused)
    }

    async fn pauses(
        &self,
        after: Option<&PauseScope>,
        limit: u32,
    ) -> Result<Vec<Pause>, StoreError> {
        let mut session = self.database.read("list the pauses of issuance").await?;
        let (scope, subject) =
            after.map_or(("", ""), |scope| (scope.kind().as_str(), scope.subject()));
        let rows = session
            .fetch_all(LIST, args![scope, subject, limit])
            .await?;
        Ok(readable(&rows, read))
    }

    async fn pauses_of(&self, record: &DomainRecord) -> Result<Vec<Pause>, StoreError> {
        let mut session = self.database.read("find the pauses of a domain").await?;
        let args = args![record.tenant_id.as_str(), record.hostname.as_str()];
        let rows = session.fetch_all(COVERING, args).await?;
        let mut pauses = readable(&rows, read);
        // At most three rows, which need no sort in the database.
        pauses.sort_by(|one, other| one.scope.cmp(&other.scope));
        Ok(pauses)
    }

    async fn pauses_waiting(&self, now: Timestamp) -> Result<WaitingOrders, StoreError> {
        let mut session = self.database.read("count the paused orders").await?;
        let mut waiting = WaitingOrders::default();
        for status in [Status::Issuing, Status::Active, Status::Failed] {
            let (status_text, actor) = (status.as_str(), Actor::Operator.as_str());
            let code = FailureCode::IssuancePaused.as_str();
            let row = session
                .fetch(WAITING, args![status_text, actor, code, now])
                .await?;
            let Some(row) = row else { continue };
            let fields = row.fields(TABLE, "domains");
            match status {
                Status::Issuing => waiting.first = fields.count("domains")?,
                Status::Active => {
                    waiting.renewals = fields.count("domains")?;
                    waiting.urgent = fields.count("urgent")?;
                    waiting.soonest_end = fields.at_if_any("soonest_end")?;
                }
                // A domain that stopped waits for no order.
                _ => waiting.ended = fields.count("ended")?,
            }
        }
        Ok(waiting)
    }
}
