//! The Cabinet's store: domains in SQLite or PostgreSQL. Each call is one statement or one
//! transaction.

mod connect;
mod error;
mod list;
#[cfg(test)]
mod migration_tests;
mod row;
#[cfg(test)]
mod statement_tests;
mod transaction;

use dps_database::{Sql, args, statements};
use dps_domain::{DomainId, Timestamp};

use crate::refusal::Refusal;
use crate::rules::{Decision, NewClaim, Quota, Record};
use row::{columns, record};

pub(crate) use error::StoreError;
pub(crate) use list::Filter;

type Database = dps_database::Database<StoreError>;
type Session = dps_database::Session<StoreError>;
type Row = dps_database::Row<StoreError>;

statements! {
    BY_ID = Sql::both(concat!("SELECT ", columns!(), " FROM cabinet_domains WHERE id = $1"));
    CHANGES = Sql::both(concat!(
        "SELECT ",
        columns!(),
        " FROM cabinet_domains WHERE change_position > $1 ORDER BY change_position LIMIT $2"
    ));
    LAST_POSITION = Sql::both("SELECT position FROM cabinet_feed WHERE id = 1");
    /// PostgreSQL prunes past rows that another process has locked.
    PRUNE_REMOVED_DOMAINS = Sql::each(
        "DELETE FROM cabinet_domains WHERE id IN (SELECT id FROM cabinet_domains \
         WHERE status = 'Removed' AND updated_at < $1 ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM cabinet_domains WHERE id IN (SELECT id FROM cabinet_domains \
         WHERE status = 'Removed' AND updated_at < $1 ORDER BY updated_at LIMIT $2)",
    );
    PRUNE_RETRIES = Sql::each(
        "DELETE FROM cabinet_retries WHERE position IN (SELECT position FROM cabinet_retries \
         WHERE retried_at < $1 ORDER BY retried_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM cabinet_retries WHERE position IN (SELECT position FROM cabinet_retries \
         WHERE retried_at < $1 ORDER BY retried_at LIMIT $2)",
    );
}

/// Decides on the record as it stands in the transaction.
pub(crate) type Decide = Box<dyn FnOnce(&Record) -> Decision + Send>;

/// The kind of change that an update makes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// A report of the service: does not move the domain in the feed.
    Report,
    /// A removal by the customer side: moves the domain in the feed.
    Removal,
    /// A retry by the customer side: moves the domain in the feed, counts against its tenant.
    Retry(Quota),
}

/// A kind of row that is deleted after a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Prunable {
    /// Removed domains, by the time of their last report.
    RemovedDomains,
    /// Counted retries.
    Retries,
}

/// Result of an insertion.
#[derive(Debug)]
pub(crate) enum Inserted {
    /// The domain was inserted.
    New(Record),
    /// The tenant claims the name already, with this domain.
    Claimed(Record),
    /// Another tenant claims the name, given in canonical form.
    ClaimedByAnother(String),
    /// The tenant has reached its greatest number of domains.
    TenantFull,
    /// The tenant has reached its quota of creations.
    Refused(Refusal),
}

/// Result of an update.
#[derive(Debug)]
pub(crate) enum Update {
    /// No such domain.
    Missing,
    /// The decision was to refuse, or the tenant's quota is reached.
    Refused(Refusal),
    /// The decision was that nothing is to be done.
    Unchanged(Record),
    /// The change was written.
    Changed(Record),
}

/// Keeps domains.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
}

impl Store {
    /// Adds a domain unless its tenant claims the name already, another tenant's claim stands in
    /// the way, or the tenant reached a limit.
    pub(crate) async fn insert(&self, claim: NewClaim<'_>) -> Result<Inserted, StoreError> {
        let NewClaim { mut domain, .. } = claim;
        let (host, tenant_id) = (&domain.canonical_host, &domain.tenant_id);
        let mut session = self.database.write("add a domain").await?;
        let position = transaction::next_position(&mut session).await?;
        if let Some(own) = transaction::claim_of(&mut session, host, tenant_id).await? {
            return Ok(Inserted::Claimed(own));
        }
        if claim.is_exclusive && transaction::is_claimed(&mut session, host).await? {
            return Ok(Inserted::ClaimedByAnother(domain.canonical_host));
        }
        if transaction::is_full(&mut session, tenant_id, claim.max_per_tenant).await? {
            return Ok(Inserted::TenantFull);
        }
        let creations = claim.creations;
        let refusal = transaction::creation_refusal(&mut session, tenant_id, creations).await?;
        if let Some(refusal) = refusal {
            return Ok(Inserted::Refused(refusal));
        }
        if let Some(template) = claim.template {
            let removed = transaction::removed_claims(&mut session, host, tenant_id).await?;
            if let Some(target) = template.target_again(&removed) {
                domain.cname_target = target;
            }
        }
        let new = Record {
            domain,
            position,
            change_position: position,
            retried_at: None,
        };
        transaction::insert(&mut session, &new).await?;
        session.commit().await?;
        Ok(Inserted::New(new))
    }

    /// Returns one domain.
    pub(crate) async fn find(&self, id: DomainId) -> Result<Option<Record>, StoreError> {
        let mut session = self.database.read("read a domain").await?;
        let row = session.fetch(BY_ID, args![id]).await?;
        row.as_ref().map(record).transpose()
    }

    /// Returns up to `limit` domains after a position, in order of creation.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let (sql, args) = filter.page(after, limit);
        let mut session = self.database.read("list domains").await?;
        let rows = session.fetch_all(sql, args).await?;
        rows.iter().map(record).collect()
    }

    /// Returns up to `limit` domains whose last change by the customer side is after a position,
    /// in order of that change.
    pub(crate) async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
        let mut session = self.database.read("read the feed").await?;
        let rows = session.fetch_all(CHANGES, args![after, limit]).await?;
        rows.iter().map(record).collect()
    }

    /// Returns the last position given away.
    pub(crate) async fn last_position(&self) -> Result<i64, StoreError> {
        let mut session = self.database.read("read the feed's position").await?;
        let Some(row) = session.fetch(LAST_POSITION, Vec::new()).await? else {
            return Err(StoreError::Corrupt(transaction::missing_feed()));
        };
        row.fields("cabinet_feed", "position").get("position")
    }

    /// Reads a domain, decides, and writes, with no other write between.
    pub(crate) async fn update(
        &self,
        id: DomainId,
        change: Change,
        decide: Decide,
    ) -> Result<Update, StoreError> {
        let mut session = self.database.write("change a domain").await?;
        let change_position = match change {
            Change::Removal | Change::Retry(_) => {
                Some(transaction::next_position(&mut session).await?)
            }
            Change::Report => None,
        };
        let Some(found) = transaction::locked(&mut session, id).await? else {
            return Ok(Update::Missing);
        };
        let mut next = match decide(&found) {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(Update::Unchanged(found)),
            Err(refusal) => return Ok(Update::Refused(refusal)),
        };
        next.change_position = change_position.unwrap_or(found.change_position);
        if let Change::Retry(quota) = change {
            let tenant_id = &found.domain.tenant_id;
            let refusal = transaction::retry_refusal(&mut session, tenant_id, quota).await?;
            if let Some(refusal) = refusal {
                return Ok(Update::Refused(refusal));
            }
            let position = next.change_position;
            transaction::count_retry(&mut session, position, tenant_id, quota).await?;
        }
        transaction::update(&mut session, &next).await?;
        session.commit().await?;
        Ok(Update::Changed(next))
    }

    /// Deletes up to `limit` rows of one kind that are older than `before`; returns their number.
    pub(crate) async fn prune(
        &self,
        kind: Prunable,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let sql = match kind {
            Prunable::RemovedDomains => PRUNE_REMOVED_DOMAINS,
            Prunable::Retries => PRUNE_RETRIES,
        };
        let mut session = self.database.write("delete old rows").await?;
        let rows = session.execute(sql, args![before, limit]).await?;
        session.commit().await?;
        Ok(rows)
    }

    /// Closes every connection, waiting for those in use.
    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}
