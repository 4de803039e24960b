//! The CA's renewal information for served certificates, and the time of the next poll.

use std::sync::Arc;

use async_trait::async_trait;
use dps_application::ports::RenewalInfoStore;
use dps_application::ports::renewal_info::{PollChange, RenewalInfoPoll};
use dps_application::ports::store::{RecordWrite, StoreError};
use dps_domain::renewal::info::{RenewalInfo, SuggestedWindow};
use dps_domain::{DomainId, Timestamp};

use crate::connect::Store;
use crate::json::to_json;
use crate::sql::{Arg, Row, Session, Sql, args, readable, statements};

const TABLE: &str = "renewal_questions";

macro_rules! select {
    () => {
        "SELECT domain_id, certificate_id, hostname, ari_id, directory_url, not_before, not_after, ask_at, \
         window_start_at, window_end_at, explanation_url, failures, answered_at FROM renewal_questions \
         JOIN (SELECT certificates.id AS held_id, hostname, ari_id, directory_url, not_before, not_after \
         FROM certificates JOIN acme_orders ON acme_orders.id = order_id) AS held ON held_id = certificate_id "
    };
}

statements! {
    PUT = Sql::both(
        "INSERT INTO renewal_questions \
         (domain_id, certificate_id, ask_at, window_start_at, window_end_at, explanation_url, failures, answered_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (domain_id) DO UPDATE SET \
         certificate_id = excluded.certificate_id, ask_at = excluded.ask_at, window_start_at = excluded.window_start_at, \
         window_end_at = excluded.window_end_at, explanation_url = excluded.explanation_url, failures = excluded.failures, \
         answered_at = excluded.answered_at",
    );
    DELETE = Sql::both("DELETE FROM renewal_questions WHERE domain_id = $1");
    /// PostgreSQL steps over what others are claiming; SQLite has one writer.
    CLAIM = Sql::each(
        "UPDATE renewal_questions SET ask_at = $2 WHERE domain_id = ANY (ARRAY(SELECT domain_id FROM renewal_questions \
         WHERE ask_at <= $1 ORDER BY ask_at LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING domain_id",
        "UPDATE renewal_questions SET ask_at = $2 WHERE domain_id IN (SELECT domain_id FROM renewal_questions \
         WHERE ask_at <= $1 ORDER BY ask_at LIMIT $3) RETURNING domain_id",
    );
    SELECT_CLAIMED = Sql::each(
        concat!(select!(), "WHERE domain_id = ANY (ARRAY(SELECT json_array_elements_text(CAST($1 AS JSON))))"),
        concat!(select!(), "WHERE domain_id IN (SELECT value FROM json_each($1))"),
    );
    SELECT = Sql::both(concat!(select!(), "WHERE domain_id = $1"));
    NEXT_DUE = Sql::both("SELECT MIN(ask_at) AS at FROM renewal_questions");
    ANSWER = Sql::both(
        "UPDATE renewal_questions SET ask_at = $4, window_start_at = $5, window_end_at = $6, explanation_url = $7, failures = $8, answered_at = $9 \
         WHERE domain_id = $1 AND certificate_id = $2 AND ask_at = $3",
    );
}

fn read(row: &Row) -> Result<RenewalInfoPoll, StoreError> {
    let fields = row.fields(TABLE, "domain_id");
    let ends = (
        fields.at_if_any("window_start_at")?,
        fields.at_if_any("window_end_at")?,
    );
    let window = match ends {
        (Some(start), Some(end)) => SuggestedWindow::new(start, end).ok(),
        (_, _) => None,
    };
    Ok(RenewalInfoPoll {
        domain_id: fields.parse("domain_id")?,
        hostname: fields.parse("hostname")?,
        certificate_id: fields.parse("certificate_id")?,
        ari_id: fields.get::<Option<String>>("ari_id")?.map(Arc::from),
        directory_url: fields.get::<String>("directory_url")?.into(),
        validity: (fields.at("not_before")?, fields.at("not_after")?),
        renewal_info: RenewalInfo {
            window,
            explanation_url: fields.get("explanation_url")?,
            answered_at: fields.at_if_any("answered_at")?,
            poll_at: fields.at("ask_at")?,
            failures: fields.count("failures")?,
        },
    })
}

/// The last arguments of `PUT` and `ANSWER`: the renewal information.
fn info_args(info: &RenewalInfo) -> Vec<Arg> {
    let window = info.window;
    args![
        info.poll_at,
        window.map(SuggestedWindow::start),
        window.map(SuggestedWindow::end),
        info.explanation_url.as_deref(),
        info.failures,
        info.answered_at,
    ]
}

/// Follows the write of a record with that of its poll.
pub(crate) async fn accompany_in_tx(
    session: &mut Session,
    write: &RecordWrite,
) -> Result<(), StoreError> {
    let id = write.record().id;
    match PollChange::of(write) {
        PollChange::Put(certificate, info) => {
            let mut args = args![id, certificate];
            args.extend(info_args(info));
            session.execute(PUT, args).await.map(drop)
        }
        PollChange::Drop => session.execute(DELETE, args![id]).await.map(drop),
        PollChange::Keep => Ok(()),
    }
}

#[async_trait]
impl RenewalInfoStore for Store {
    async fn renewal_info_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<RenewalInfoPoll>, StoreError> {
        let mut session = self.database.write("claim polls about renewals").await?;
        let claimed = session.fetch_all(CLAIM, args![now, until, limit]).await?;
        let ids = |row: &Row| row.fields(TABLE, "domain_id").get("domain_id");
        let ids: Vec<String> = readable(&claimed, ids);
        let rows = if ids.is_empty() {
            vec![]
        } else {
            session
                .fetch_all(SELECT_CLAIMED, args![to_json(&ids)])
                .await?
        };
        session.commit().await?;
        Ok(readable(&rows, read))
    }

    async fn renewal_info_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut session = self
            .database
            .read("find the next poll about a renewal")
            .await?;
        match session.fetch(NEXT_DUE, Vec::new()).await? {
            Some(row) => row.fields(TABLE, "at").at_if_any("at"),
            None => Ok(None),
        }
    }

    /// In the order of the domains' ids, so that no two replicas wait for each other's rows in a
    /// circle.
    async fn renewal_info_store(
        &self,
        answered: &[(RenewalInfoPoll, RenewalInfo)],
    ) -> Result<(), StoreError> {
        let mut answered: Vec<_> = answered.iter().collect();
        answered.sort_unstable_by_key(|(poll, _)| poll.domain_id);
        let mut session = self.database.write("store renewal information").await?;
        for (poll, info) in answered {
            let (domain, certificate) = (poll.domain_id, poll.certificate_id);
            let mut args = args![domain, certificate, poll.renewal_info.poll_at];
            args.extend(info_args(info));
            session.execute(ANSWER, args).await?;
        }
        session.commit().await
    }

    async fn poll(&self, domain: DomainId) -> Result<Option<RenewalInfoPoll>, StoreError> {
        let mut session = self.database.read("read a poll about a renewal").await?;
        let row = session.fetch(SELECT, args![domain]).await?;
        row.as_ref().map(read).transpose()
    }
}
