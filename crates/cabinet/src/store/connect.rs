//! Opening a database and bringing its tables up to date.

use std::time::Duration;

use dps_database::{Durability, OpenOptions, Schema, Target, schema};

use super::{Database, Store, StoreError};

const OPTIONS: OpenOptions = OpenOptions {
    application_name: "dps-cabinet",
    max_connections: 16,
    acquire_timeout: Duration::from_secs(5),
    create: true,
    durability: Durability::RecentCommitsMayBeLost,
};

/// Every migration, listed in a table of our own, so that the Cabinet can share a database with
/// other parts.
pub(super) const SCHEMA: Schema = schema!(
    "cabinet_migrations",
    "../../migrations",
    1 "0001" "domains",
    2 "0002" "tenant_limits",
    3 "0003" "ownership",
);

impl Store {
    /// Opens the database and applies the migrations that it lacks.
    pub(crate) async fn open(target: Target) -> Result<Self, StoreError> {
        let database = Database::open(target, &OPTIONS).await?;
        database.migrate(&SCHEMA).await?;
        Ok(Self { database })
    }
}
