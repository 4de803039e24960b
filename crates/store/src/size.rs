//! The size of every table.
//!
//! Each statement measures one table, so that each is bounded in time. Rows are counted exactly.
//! PostgreSQL knows the bytes of a table with its indexes and TOAST; for SQLite, the pages of its
//! B-trees are read one by one.

use std::time::Duration;

use dps_application::operator::size::{FleetSize, StoreSize, TableSize};
use dps_application::ports::store::StoreError;

use crate::connect::Store;
use crate::sql::{Sql, args, statements};

/// Names the statement that counts the rows of each table, and lists the tables.
macro_rules! tables {
    ($($name:ident $table:literal,)+) => {
        statements! {
            $($name = Sql::both(concat!("SELECT COUNT(*) AS count FROM ", $table));)+
            BYTES = Sql::each(
                "SELECT pg_total_relation_size(CAST(CAST($1 AS TEXT) AS REGCLASS)) AS bytes",
                "SELECT COALESCE(SUM(stat.pgsize), 0) AS bytes FROM sqlite_schema AS tree CROSS JOIN dbstat AS stat \
                 WHERE tree.tbl_name = $1 AND stat.name = tree.name AND stat.aggregate = TRUE",
            );
            DOMAINS = Sql::both(
                "SELECT COUNT(*) AS domains, COUNT(serving_certificate_id) AS served FROM custom_domains",
            );
            /// Of a thousand certificates: as good as of all, and soon read.
            LIFETIME = Sql::both(
                "SELECT CAST(AVG(lifetime) AS BIGINT) AS lifetime FROM (\
                 SELECT not_after - not_before AS lifetime FROM custom_domains \
                 JOIN certificates ON certificates.id = serving_certificate_id \
                 WHERE serving_certificate_id IS NOT NULL LIMIT 1000) AS sample",
            );
        }

        /// Every table, with the statement that counts its rows.
        pub(crate) const TABLES: &[(&str, Sql)] = &[$(($table, $name)),+];
    };
}

tables! {
    ACCOUNTS "acme_accounts",
    CHALLENGES "acme_challenges",
    ORDERS "acme_orders",
    PRESENCES "cabinet_sightings",
    CERTIFICATES "certificates",
    TASKS "chores",
    CURSORS "cursors",
    RECORDS "custom_domains",
    EVENTS "domain_events",
    NAMES "domain_names",
    STATES "domain_states",
    DEPLOYMENTS "edge_deployments",
    EDGES "edges",
    FLEET_COUNTS "fleet_counts",
    IDEMPOTENCY_KEYS "idempotency_keys",
    INSTALLATION "installation",
    PAUSES "issuance_pauses",
    ACTIONS "operator_actions",
    JOBS "operator_jobs",
    OUTBOX "outbox",
    REPLICAS "replicas",
    BUCKETS "rate_limit_buckets",
    SLOTS "rate_limit_slots",
    POLLS "renewal_questions",
    TARGETS "target_tenants",
    WEBHOOKS "webhook_deliveries",
}

impl Store {
    /// Measures every table. It reads much of the database, so that it takes seconds for a million
    /// domains.
    pub async fn size(&self) -> Result<StoreSize, StoreError> {
        let mut session = self.database.read("measure the store").await?;
        let mut tables = Vec::with_capacity(TABLES.len());
        for (table, count) in TABLES {
            let (mut rows, mut bytes) = (0, 0);
            if let Some(row) = session.fetch(*count, Vec::new()).await? {
                rows = row.fields(table, "count").count("count")?;
            }
            if let Some(row) = session.fetch(BYTES, args![*table]).await? {
                bytes = row.fields(table, "bytes").count("bytes")?;
            }
            tables.push(TableSize { table, rows, bytes });
        }
        let (mut domains, mut served) = (0, 0);
        if let Some(row) = session.fetch(DOMAINS, Vec::new()).await? {
            let fields = row.fields("custom_domains", "domains");
            (domains, served) = (fields.count("domains")?, fields.count("served")?);
        }
        let row = session.fetch(LIFETIME, Vec::new()).await?;
        let micros: Option<i64> = match &row {
            Some(row) => row.fields("certificates", "lifetime").get("lifetime")?,
            None => None,
        };
        let lifetime = micros.map(|micros| Duration::from_micros(micros.max(0).unsigned_abs()));
        Ok(StoreSize {
            tables,
            fleet: FleetSize {
                domains,
                served,
                lifetime,
            },
            measured_by: if self.file.is_some() {
                "dbstat: pages of tables and indexes"
            } else {
                "pg_total_relation_size: tables, indexes and TOAST"
            },
        })
    }
}
