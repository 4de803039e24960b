//! Jobs: one action of an operator on many domains.

use async_trait::async_trait;
use dps_application::ports::store::{JobStore, StoreError};
use dps_domain::action::OperatorAction;
use dps_domain::fleet::{DomainFilter, FilterParts, Place};
use dps_domain::job::{DomainAction, Job, JobProgress, JobState};
use dps_domain::{JobId, Timestamp};

use crate::actions;
use crate::connect::Store;
use crate::json::to_json;
use crate::sql::{Row, Sql, args, readable, statements};

const TABLE: &str = "operator_jobs";
const UNKNOWN_WORD: &str = "it has a word of another version";
/// Follows every identifier.
const AFTER_ALL: &str = "~";

macro_rules! columns {
    () => {
        "id, action, filter, who, role, reason, pace, most, expected, created_at, state, place, acted, refused, due_at, \
         written_at, ended_at"
    };
}

statements! {
    INSERT = Sql::both(concat!(
        "INSERT INTO operator_jobs (", columns!(), ") \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    ));
    SELECT = Sql::both(concat!("SELECT ", columns!(), " FROM operator_jobs WHERE id = $1"));
    NEWEST = Sql::both(concat!(
        "SELECT ", columns!(), " FROM operator_jobs WHERE id < $1 ORDER BY id DESC LIMIT $2",
    ));
    CLAIM = Sql::each(
        concat!(
            "UPDATE operator_jobs SET due_at = $2 WHERE id = (SELECT id FROM operator_jobs WHERE state = 'running' \
             AND due_at <= $1 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING ", columns!(),
        ),
        concat!(
            "UPDATE operator_jobs SET due_at = $2 WHERE id = (SELECT id FROM operator_jobs WHERE state = 'running' \
             AND due_at <= $1 ORDER BY due_at LIMIT 1) RETURNING ", columns!(),
        ),
    );
    ADVANCE = Sql::both(
        "UPDATE operator_jobs SET state = CASE WHEN state = 'running' THEN $3 ELSE state END, place = $4, acted = $5, \
         refused = $6, due_at = $7, written_at = $8, ended_at = COALESCE(ended_at, $9) \
         WHERE id = $1 AND due_at = $2 RETURNING state",
    );
    CANCEL = Sql::both(
        "UPDATE operator_jobs SET state = 'cancelled', ended_at = $2 WHERE id = $1 AND state = 'running'",
    );
}

fn corrupt(row: &str, reason: &impl ToString) -> StoreError {
    StoreError::Corrupt {
        table: TABLE,
        row: row.to_owned(),
        reason: reason.to_string(),
    }
}

/// The text of a place; empty for none.
fn text_of(place: Option<&Place>, filter: &DomainFilter) -> String {
    place.map(|place| place.to_text(filter)).unwrap_or_default()
}

fn read(row: &Row) -> Result<Job, StoreError> {
    let fields = row.fields(TABLE, "id");
    let text = |column| fields.get::<String>(column);
    let id = fields.key();
    let parts: FilterParts = fields.json("filter")?;
    let filter = parts.filter().map_err(|error| corrupt(id, &error))?;
    let created_at = fields.at("created_at")?;
    let place = text("place")?;
    let place = (!place.is_empty())
        .then(|| Place::parse(&place, &filter, &filter.plan(created_at)))
        .transpose()
        .map_err(|error| corrupt(id, &error))?;
    let unknown = || corrupt(id, &UNKNOWN_WORD);
    let number = |column| -> Result<Option<u64>, StoreError> {
        let number: Option<i64> = fields.get(column)?;
        Ok(number.map(|number| u64::try_from(number).unwrap_or(0)))
    };
    Ok(Job {
        id: fields.parse("id")?,
        action: DomainAction::named(&text("action")?).ok_or_else(unknown)?,
        who: text("who")?,
        role: text("role")?,
        reason: fields.get("reason")?,
        pace: number("pace")?.map(|pace| u32::try_from(pace).unwrap_or(u32::MAX)),
        most: number("most")?,
        expected: fields.count("expected")?,
        created_at,
        progress: JobProgress {
            state: JobState::named(&text("state")?).ok_or_else(unknown)?,
            place,
            acted: fields.count("acted")?,
            refused: fields.count("refused")?,
            due_at: fields.at("due_at")?,
            written_at: fields.at("written_at")?,
            ended_at: fields.at_if_any("ended_at")?,
        },
        filter,
    })
}

#[async_trait]
impl JobStore for Store {
    async fn job_insert(&self, job: &Job, action: &OperatorAction) -> Result<JobId, StoreError> {
        let id = JobId::new(job.created_at, self.randomness.id_bytes());
        let mut session = self.database.write("begin a job").await?;
        let progress = &job.progress;
        let args = args![
            id.to_string(),
            job.action.as_str(),
            to_json(&FilterParts::from(&job.filter)),
            job.who.as_str(),
            job.role.as_str(),
            job.reason.as_deref(),
            job.pace.map(u64::from),
            job.most,
            job.expected,
            job.created_at,
            progress.state.as_str(),
            text_of(progress.place.as_ref(), &job.filter),
            progress.acted,
            progress.refused,
            progress.due_at,
            progress.written_at,
            progress.ended_at,
        ];
        session.execute(INSERT, args).await?;
        actions::insert_in_tx(&mut session, self.new_action_id(action.at), action).await?;
        session.commit().await?;
        Ok(id)
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut session = self.database.read("read a job").await?;
        let row = session.fetch(SELECT, args![id.to_string()]).await?;
        row.as_ref().map(read).transpose()
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let mut session = self.database.read("list the jobs").await?;
        let before = before.map_or_else(|| AFTER_ALL.to_owned(), |id| id.to_string());
        let rows = session.fetch_all(NEWEST, args![before, limit]).await?;
        Ok(readable(&rows, read))
    }

    async fn job_claim(&self, now: Timestamp, until: Timestamp) -> Result<Option<Job>, StoreError> {
        let mut session = self.database.write("claim a job").await?;
        let row = session.fetch(CLAIM, args![now, until]).await?;
        session.commit().await?;
        row.as_ref().map(read).transpose()
    }

    async fn job_advance(
        &self,
        claimed: &Job,
        progress: &JobProgress,
    ) -> Result<Option<JobState>, StoreError> {
        let mut session = self.database.write("advance a job").await?;
        let args = args![
            claimed.id.to_string(),
            claimed.progress.due_at,
            progress.state.as_str(),
            text_of(progress.place.as_ref(), &claimed.filter),
            progress.acted,
            progress.refused,
            progress.due_at,
            progress.written_at,
            progress.ended_at,
        ];
        let row = session.fetch(ADVANCE, args).await?;
        session.commit().await?;
        row.map(|row| {
            let word: String = row.fields(TABLE, "state").get("state")?;
            let unknown = || corrupt(&claimed.id.to_string(), &UNKNOWN_WORD);
            JobState::named(&word).ok_or_else(unknown)
        })
        .transpose()
    }

    async fn job_cancel(&self, id: JobId, action: &OperatorAction) -> Result<bool, StoreError> {
        let mut session = self.database.write("cancel a job").await?;
        let ran = session
            .execute(CANCEL, args![id.to_string(), action.at])
            .await?
            > 0;
        if ran {
            actions::insert_in_tx(&mut session, self.new_action_id(action.at), action).await?;
        }
        session.commit().await?;
        Ok(ran)
    }
}
