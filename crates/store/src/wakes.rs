//! Wakes between replicas by PostgreSQL's LISTEN and NOTIFY.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::WakeChannel;
use dps_application::ports::WakeSignal;
use dps_application::ports::store::StoreError;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use sqlx::{Executor, PgPool};
use tokio::sync::Mutex;

use crate::connect::Store;
use crate::sql::{Database, Session, Sql, args, statements};

/// The channel on which replicas call each other.
const CHANNEL: &str = "dps_wakes";
/// The longest time without a notification before the connection is checked: a server may vanish
/// without closing it.
const CHECK_AFTER: Duration = Duration::from_secs(60);

statements! {
    ANNOUNCE = Sql::each("SELECT pg_notify('dps_wakes', $1)", "SELECT $1");
}

/// The channel of one replica.
struct PostgresWakes {
    database: Database,
    /// Distinguishes our own messages from those of others.
    name: String,
    /// One connection, apart from those that the store works with.
    listening: PgPool,
    listener: Mutex<Option<PgListener>>,
}

impl Store {
    /// The way to the other replicas; none on SQLite, which has none.
    pub fn wake_channel(&self) -> Option<Arc<dyn WakeChannel>> {
        let pool = self.database.postgres()?;
        let mut name = [0; 8];
        self.randomness.fill(&mut name);
        let listening = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with((*pool.connect_options()).clone());
        Some(Arc::new(PostgresWakes {
            database: self.database.clone(),
            name: format!("{:016x}", u64::from_be_bytes(name)),
            listening,
            listener: Mutex::default(),
        }))
    }
}

impl PostgresWakes {
    /// The signals that a message of another replica names; none for our own.
    fn signals(&self, message: &PgNotification) -> Vec<WakeSignal> {
        let mut words = message.payload().split(' ');
        if words.next() == Some(&self.name) {
            return Vec::new();
        }
        words.filter_map(WakeSignal::named).collect()
    }

    /// The signals of the next message of another replica; all of them after the connection was
    /// lost.
    async fn next(&self, listener: &mut PgListener) -> Result<Vec<WakeSignal>, StoreError> {
        loop {
            let Ok(received) = tokio::time::timeout(CHECK_AFTER, listener.try_recv()).await else {
                Session::bounded("hear of other replicas", listener.execute("SELECT 1")).await?;
                continue;
            };
            let signals =
                match Session::bounded("hear of other replicas", async { received }).await? {
                    Some(message) => self.signals(&message),
                    // Reconnected: what was said meanwhile is lost.
                    None => WakeSignal::all().collect(),
                };
            if !signals.is_empty() {
                return Ok(signals);
            }
        }
    }
}

#[async_trait]
impl WakeChannel for PostgresWakes {
    async fn announce(&self, signals: &[WakeSignal]) -> Result<(), StoreError> {
        let words = signals.iter().map(|signal| signal.as_str());
        let message = [self.name.as_str()].into_iter().chain(words);
        let message = message.collect::<Vec<_>>().join(" ");
        let mut session = self.database.read("wake other replicas").await?;
        session.fetch(ANNOUNCE, args![message]).await.map(drop)
    }

    async fn heard(&self) -> Result<Vec<WakeSignal>, StoreError> {
        // Taken out while it is used: a listener whose wait was cancelled or failed half-way is not
        // used again.
        let mut place = self.listener.lock().await;
        let Some(mut listener) = place.take() else {
            let connect = async {
                let mut listener = PgListener::connect_with(&self.listening).await?;
                listener.listen(CHANNEL).await?;
                Ok(listener)
            };
            *place = Some(Session::bounded("listen to other replicas", connect).await?);
            return Ok(WakeSignal::all().collect());
        };
        let signals = self.next(&mut listener).await?;
        *place = Some(listener);
        Ok(signals)
    }
}
