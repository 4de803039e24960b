//! Opening the store.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dps_application::ports::{Clock, Randomness};
use dps_database::{
    ConnectError, Durability, MigrateError, OpenOptions, OperationTimes, SchemaError, Target,
};
use dps_domain::shard::ShardKey;
use dps_domain::webhook::WebhookReceiver;
use dps_file_lock::FileLock;
use tokio::sync::OnceCell;

use crate::migrations::SCHEMA;
use crate::shard::Turns;
use crate::sql::Database;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Where lease tokens come from.
    pub randomness: Arc<dyn Randomness>,
    /// The name of this process in its leases; empty for one that leases nothing.
    pub replica: &'static str,
    /// By whose time leases run on SQLite: a clock of this process that never jumps.
    pub steady: Arc<dyn Clock>,
    /// Whether leases on PostgreSQL run by the server's time, as replicas need it. If not they run
    /// by `steady` there too, for a test that owns the time.
    pub server_time: bool,
    /// Connections at most: to PostgreSQL in all (unless the connection string says `Maximum Pool
    /// Size`), on SQLite for reading.
    pub max_connections: u32,
    /// How long an operation waits for a free connection, and on SQLite for another process's
    /// write, before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// How many lines of history are kept of each domain.
    pub events_per_domain: u32,
    /// Whether a SQLite file that does not exist is made. If not, its journal mode is left alone
    /// too.
    pub create: bool,
    /// Receiver of the durations of the store's work, if there is one.
    pub times: Option<Arc<dyn OperationTimes>>,
}

impl StoreOptions {
    /// Connections at most, where the operator sets nothing.
    pub const MAX_CONNECTIONS: u32 = 10;
    /// Lines of history of each domain, where the operator sets nothing.
    pub const EVENTS_PER_DOMAIN: u32 = 200;

    /// The usual bounds.
    pub fn new(randomness: Arc<dyn Randomness>, steady: Arc<dyn Clock>) -> Self {
        Self {
            randomness,
            replica: "",
            steady,
            server_time: true,
            max_connections: Self::MAX_CONNECTIONS,
            acquire_timeout: Duration::from_secs(10),
            events_per_domain: Self::EVENTS_PER_DOMAIN,
            create: true,
            times: None,
        }
    }
}

/// The CertificateStore on one of its databases. Clones share the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) replica: &'static str,
    pub(crate) steady: Arc<dyn Clock>,
    pub(crate) server_time: bool,
    /// The file on SQLite.
    pub(crate) file: Option<PathBuf>,
    /// The lock of who works on it.
    pub(crate) locked: Arc<OnceLock<FileLock>>,
    pub(crate) events_per_domain: u32,
    pub(crate) turns: Arc<Turns>,
    pub(crate) shard_key: Arc<OnceCell<ShardKey>>,
    pub(crate) webhooks: Arc<[WebhookReceiver]>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database that `connection_string` names: `sqlite://path` (the file is made on
    /// first start), `sqlite::memory:`, `postgres://…` or `Host=…;Database=…` as Npgsql writes it.
    /// Call [`Self::migrate`] next.
    pub async fn connect(
        connection_string: &str,
        options: StoreOptions,
    ) -> Result<Self, ConnectError> {
        let target: Target = connection_string.parse()?;
        let file = match &target {
            Target::File { path, .. } => Some(path.clone()),
            Target::Postgres(_) | Target::Memory => None,
        };
        let open = OpenOptions {
            application_name: "dps",
            max_connections: options.max_connections,
            acquire_timeout: options.acquire_timeout,
            create: options.create,
            // A power cut must not undo a commit: a certificate's key that was stored before
            // finalize would be gone while the CA has issued. A lost certificate is an outage and
            // counts against the CA's limits.
            durability: Durability::EveryCommit,
        };
        let database = Database::open(target, &open).await?;
        let database = database.observed(options.times);
        Ok(Self {
            database,
            randomness: options.randomness,
            replica: options.replica,
            steady: options.steady,
            server_time: options.server_time,
            file,
            locked: Arc::default(),
            events_per_domain: options.events_per_domain,
            turns: Arc::default(),
            shard_key: Arc::default(),
            webhooks: Arc::default(),
        })
    }

    /// Writes the events of records for these receivers. Without any, no event is written.
    #[must_use]
    pub fn with_webhooks(mut self, receivers: Vec<WebhookReceiver>) -> Self {
        self.webhooks = receivers.into();
        self
    }

    /// Brings the database to this program's schema. Safe beside others that do the same.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        self.database.migrate(&SCHEMA).await
    }

    /// Checks that the database has this program's schema, and changes nothing.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        self.database.check_schema(&SCHEMA).await
    }

    /// Closes every connection, waiting for those in use; later calls fail. SQLite folds its log
    /// into the file.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
