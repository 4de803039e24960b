//! Opens and closes the CertificateStore as the settings say.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_store::{ConnectError, OperationTimes, Store, StoreOptions};

use crate::config::Settings;
use crate::system::{ProcessClock, SystemRandomness};
use crate::telemetry::StoreMetrics;

/// How long connections in use are waited for when the store is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the CertificateStore, makes it if there is none, and brings its schema up to date: for the
/// roles and `dps migrate`.
pub async fn open_store(
    settings: &Settings,
    metrics: Option<&StoreMetrics>,
) -> anyhow::Result<Arc<Store>> {
    let times = metrics.map(|metrics| Arc::new(metrics.clone()) as Arc<dyn OperationTimes>);
    let store = connect(settings, true, times).await?;
    store
        .migrate()
        .await
        .context("cannot migrate the CertificateStore to the schema of this version")?;
    Ok(Arc::new(store))
}

/// Opens the CertificateStore that is there, with the schema that it has: for every other command.
pub async fn open_existing_store(settings: &Settings) -> anyhow::Result<Arc<Store>> {
    let store = connect(settings, false, None).await?;
    if let Err(error) = store.check_schema().await {
        close_store(&store).await;
        return Err(error).context(shown(settings));
    }
    Ok(Arc::new(store))
}

/// Closes the CertificateStore. On SQLite, the file alone is the whole database then.
pub async fn close_store(store: &Store) {
    let closed = tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await;
    if closed.is_err() {
        tracing::warn!("store.close_timed_out");
    }
}

async fn connect(
    settings: &Settings,
    create: bool,
    times: Option<Arc<dyn OperationTimes>>,
) -> anyhow::Result<Store> {
    let section = &settings.certificate_store;
    if let Some(finding) = settings.data.misplaced("CertificateStore").next() {
        anyhow::bail!("{finding}");
    }
    if let Err(what) = section.database() {
        anyhow::bail!("CertificateStore:ConnectionString {what}");
    }
    let options = StoreOptions {
        max_connections: section.max_connections,
        events_per_domain: section.events_per_domain,
        create,
        times,
        // A process opens its store once, and copies the name with every lease.
        replica: settings.replica.name.clone().map_or("", |name| name.leak()),
        ..StoreOptions::new(Arc::new(SystemRandomness), Arc::new(ProcessClock::start()))
    };
    let opened = Store::connect(section.connection_string.expose(), options).await;
    let opened = opened.map(|store| store.with_webhooks(settings.webhook_receivers()));
    opened.map_err(|error| {
        let context = match &error {
            ConnectError::Missing { .. } => format!(
                "{}; `dps run` and `dps standalone` make it at their first start. Relative paths \
                 begin beside the configuration file, for one in /etc/dps in /var/lib/dps",
                shown(settings)
            ),
            _ => shown(settings),
        };
        anyhow::Error::new(error).context(context)
    })
}

fn shown(settings: &Settings) -> String {
    let store = settings.certificate_store.connection_string.masked();
    format!("cannot open the CertificateStore {store}")
}
