//! The edges: how they have been answering, what each should hold, and what each was seen to hold.

use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::FleetStore;
use dps_application::ports::fleet::{Comparison, KnownEdge};
use dps_application::ports::store::DeploymentStore;
use dps_application::ports::store::{Deployed, Deployment, Desired, comparison_task};
use dps_application::ports::store::{StoreError, StoredChallenge};
use dps_domain::action::OperatorAction;
use dps_domain::inventory::Entry;
use dps_domain::reachability::Reachability;
use dps_domain::{DomainId, Hostname, Timestamp};

use crate::actions;
use crate::connect::Store;
use crate::orders;
use crate::sql::{Row, Session, Sql, args, readable, statements};

const TABLE: &str = "edges";

macro_rules! columns {
    () => {
        "name, unreachable_since, answered_again_at, doubted_until, problem, compared_at, certificates, behind, unknown, \
         first_seen_at, listed_at, approved_at"
    };
}

statements! {
    SELECT_ALL = Sql::both(concat!("SELECT ", columns!(), " FROM edges ORDER BY name"));
    /// Held until the end of the transaction, so that two who saw it fail do not each begin a
    /// grace.
    SELECT_LOCKED = Sql::each(
        concat!("SELECT ", columns!(), " FROM edges WHERE name = $1 FOR UPDATE"),
        concat!("SELECT ", columns!(), " FROM edges WHERE name = $1"),
    );
    KNOW = Sql::both("INSERT INTO edges (name, first_seen_at, listed_at) VALUES ($1, $2, $2) ON CONFLICT (name) DO NOTHING");
    LIST = Sql::both("UPDATE edges SET listed_at = $2 WHERE name = $1");
    APPROVE = Sql::both(
        "UPDATE edges SET approved_at = CASE WHEN approved_at IS NULL THEN $2 ELSE approved_at END WHERE name = $1",
    );
    COUNT_DEPLOYMENTS = Sql::both("SELECT COUNT(*) AS certificates FROM edge_deployments WHERE edge = $1");
    STAND = Sql::both(
        "UPDATE edges SET unreachable_since = $2, answered_again_at = $3, doubted_until = $4, problem = $5 WHERE name = $1",
    );
    COMPARED = Sql::both(
        "UPDATE edges SET compared_at = $2, certificates = $3, behind = $4, unknown = $5 WHERE name = $1",
    );
    FORGET_DEPLOYMENTS = Sql::both(
        "DELETE FROM edge_deployments WHERE edge = $1 AND domain_id IN \
         (SELECT domain_id FROM edge_deployments WHERE edge = $1 ORDER BY domain_id LIMIT $2)",
    );
    FORGET = Sql::both("DELETE FROM edges WHERE name = $1");
    FORGET_TASK = Sql::both("DELETE FROM chores WHERE name = $1");
    DESIRED = Sql::both(
        "SELECT custom_domains.id, custom_domains.hostname, certificates.id AS certificate_id, fingerprint, generation, \
         not_after FROM custom_domains JOIN certificates ON certificates.id = serving_certificate_id \
         WHERE custom_domains.hostname > $1 AND serving_certificate_id IS NOT NULL AND not_after > $2 \
         ORDER BY custom_domains.hostname LIMIT $3",
    );
    PUT_DEPLOYMENT = Sql::both(
        "INSERT INTO edge_deployments (domain_id, edge, certificate_id, generation, deployed_at) \
         SELECT id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT) FROM custom_domains WHERE id = $1 \
         ON CONFLICT (domain_id, edge) DO UPDATE SET certificate_id = excluded.certificate_id, \
         generation = excluded.generation, deployed_at = excluded.deployed_at \
         WHERE edge_deployments.generation <= excluded.generation",
    );
    DELETE_DEPLOYMENT = Sql::both("DELETE FROM edge_deployments WHERE domain_id = $1 AND edge = $2");
    SELECT_DEPLOYMENTS = Sql::both(
        "SELECT edge, certificate_id, generation, deployed_at FROM edge_deployments WHERE domain_id = $1 ORDER BY edge",
    );
}

fn read(row: &Row) -> Result<KnownEdge, StoreError> {
    let fields = row.fields(TABLE, "name");
    let comparison = |at| {
        Ok(Comparison {
            at,
            certificates: fields.count("certificates")?,
            refused: fields.count("behind")?,
            unknown: fields.count("unknown")?,
        })
    };
    Ok(KnownEdge {
        name: fields.get("name")?,
        reachability: Reachability {
            unreachable_since: fields.at_if_any("unreachable_since")?,
            answered_again_at: fields.at_if_any("answered_again_at")?,
            unreachable_until: fields.at_if_any("doubted_until")?,
        },
        problem: fields.get("problem")?,
        first_seen_at: fields.at("first_seen_at")?,
        listed_at: fields.at("listed_at")?,
        approved_at: fields.at_if_any("approved_at")?,
        compared: fields
            .at_if_any("compared_at")?
            .map(comparison)
            .transpose()?,
    })
}

fn desired(row: &Row) -> Result<Desired, StoreError> {
    let fields = row.fields(TABLE, "hostname");
    Ok(Desired {
        domain_id: fields.parse("id")?,
        certificate_id: fields.parse("certificate_id")?,
        entry: Entry {
            hostname: fields.parse("hostname")?,
            fingerprint: fields.get("fingerprint")?,
            generation: fields.count("generation")?,
            not_after: fields.at("not_after")?,
        },
    })
}

fn deployment(row: &Row) -> Result<Deployment, StoreError> {
    let fields = row.fields("edge_deployments", "edge");
    Ok(Deployment {
        edge: fields.get("edge")?,
        certificate_id: fields.parse("certificate_id")?,
        generation: fields.count("generation")?,
        deployed_at: fields.at("deployed_at")?,
    })
}

/// The edge as it stands; no other process changes it before the transaction ends.
async fn locked_in_tx(
    session: &mut Session,
    name: &str,
) -> Result<Option<Reachability>, StoreError> {
    let row = session.fetch(SELECT_LOCKED, args![name]).await?;
    row.map(|row| Ok(read(&row)?.reachability)).transpose()
}

async fn stand_in_tx(
    session: &mut Session,
    name: &str,
    reachability: Reachability,
    problem: Option<&str>,
) -> Result<(), StoreError> {
    let Reachability {
        unreachable_since,
        answered_again_at,
        unreachable_until,
    } = reachability;
    let args = args![
        name,
        unreachable_since,
        answered_again_at,
        unreachable_until,
        problem
    ];
    session.execute(STAND, args).await.map(drop)
}

#[async_trait]
impl FleetStore for Store {
    async fn edges(&self) -> Result<Vec<KnownEdge>, StoreError> {
        let mut session = self.database.read("read the edges").await?;
        let rows = session.fetch_all(SELECT_ALL, Vec::new()).await?;
        Ok(readable(&rows, read))
    }

    async fn edges_put_listed(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let mut session = self.database.write("note the edges of the fleet").await?;
        let mut names: Vec<&String> = names.iter().collect();
        // Everybody locks them in the same order.
        names.sort_unstable();
        for name in names {
            session.execute(KNOW, args![name.as_str(), now]).await?;
            session.execute(LIST, args![name.as_str(), now]).await?;
            session.execute(APPROVE, args![name.as_str(), now]).await?;
        }
        session.commit().await
    }

    async fn edges_put_found(&self, names: &[String], now: Timestamp) -> Result<(), StoreError> {
        let mut session = self.database.write("note edges that were found").await?;
        let mut names: Vec<&String> = names.iter().collect();
        names.sort_unstable();
        for name in names {
            session.execute(KNOW, args![name.as_str(), now]).await?;
            session.execute(LIST, args![name.as_str(), now]).await?;
        }
        session.commit().await
    }

    async fn edge_approve(&self, name: &str, action: &OperatorAction) -> Result<bool, StoreError> {
        let mut session = self.database.write("approve an edge").await?;
        let known = session.execute(APPROVE, args![name, action.at]).await? > 0;
        if known {
            let id = self.new_action_id(action.at);
            actions::insert_in_tx(&mut session, id, action).await?;
        }
        session.commit().await?;
        Ok(known)
    }

    async fn edge_mark_failed(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
        problem: &str,
    ) -> Result<Reachability, StoreError> {
        let mut session = self.database.write("note that an edge failed").await?;
        session.execute(KNOW, args![name, now]).await?;
        let before = locked_in_tx(&mut session, name).await?.unwrap_or_default();
        let after = before.failed(now, grace);
        stand_in_tx(&mut session, name, after, Some(problem)).await?;
        session.commit().await?;
        Ok(after)
    }

    async fn edge_mark_answered(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Reachability, StoreError> {
        let mut session = self.database.write("note that an edge answers").await?;
        let before = locked_in_tx(&mut session, name).await?.unwrap_or_default();
        let after = before.answered(now, grace);
        if after != before {
            stand_in_tx(&mut session, name, after, None).await?;
            session.commit().await?;
        }
        Ok(after)
    }

    async fn edge_store_comparison(
        &self,
        name: &str,
        comparison: &Comparison,
    ) -> Result<(), StoreError> {
        let mut session = self.database.write("note what an edge holds").await?;
        let Comparison {
            at,
            certificates,
            refused,
            unknown,
        } = *comparison;
        session
            .execute(COMPARED, args![name, at, certificates, refused, unknown])
            .await?;
        session.commit().await
    }

    async fn edge_forget(&self, name: &str, limit: u32) -> Result<u64, StoreError> {
        let mut session = self.database.write("forget an edge").await?;
        let forgotten = session
            .execute(FORGET_DEPLOYMENTS, args![name, limit])
            .await?;
        if forgotten < u64::from(limit) {
            session.execute(FORGET, args![name]).await?;
            session
                .execute(FORGET_TASK, args![comparison_task(name)])
                .await?;
        }
        session.commit().await?;
        Ok(forgotten)
    }
}

#[async_trait]
impl DeploymentStore for Store {
    async fn edge_presents(&self, name: &str) -> Result<u64, StoreError> {
        let mut session = self.database.read("count what an edge presents").await?;
        match session.fetch(COUNT_DEPLOYMENTS, args![name]).await? {
            Some(row) => row.fields(TABLE, "name").count("certificates"),
            None => Ok(0),
        }
    }

    async fn desired(
        &self,
        after: Option<&Hostname>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Desired>, StoreError> {
        let mut session = self.database.read("read what edges should hold").await?;
        let after = after.map_or("", Hostname::as_str);
        let rows = session.fetch_all(DESIRED, args![after, now, limit]).await?;
        Ok(readable(&rows, desired))
    }

    async fn challenges(&self, limit: u32) -> Result<Vec<StoredChallenge>, StoreError> {
        orders::challenges(&self.database, limit).await
    }

    async fn edge_store_deployed(
        &self,
        edge: &str,
        deployed: &[Deployed],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut session = self.database.write("record deployments").await?;
        for one in deployed {
            let args = args![one.domain_id, edge, one.certificate_id, one.generation, at];
            session.execute(PUT_DEPLOYMENT, args).await?;
        }
        session.commit().await
    }

    async fn edge_forget_deployed(&self, domain: DomainId, edge: &str) -> Result<(), StoreError> {
        let mut session = self.database.write("forget a deployment").await?;
        session
            .execute(DELETE_DEPLOYMENT, args![domain, edge])
            .await?;
        session.commit().await
    }

    async fn deployments(&self, domain: DomainId) -> Result<Vec<Deployment>, StoreError> {
        let mut session = self.database.read("read a domain's deployments").await?;
        let rows = session.fetch_all(SELECT_DEPLOYMENTS, args![domain]).await?;
        rows.iter().map(deployment).collect()
    }
}
