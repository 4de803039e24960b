//! Listening and serving, with bounds that no client can stretch.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use dps_host::http_server::{self, ServerLimits};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{self, App};
use crate::pruning::Pruning;
use crate::settings::Settings;
use crate::store::Store;
use crate::{CabinetError, Ports};

/// A Cabinet that listens; [`Bound::run`] serves.
pub struct Bound {
    listener: TcpListener,
    local_addr: SocketAddr,
    router: Router,
    /// Ends long polls; fired when the shutdown begins.
    draining: CancellationToken,
    store: Arc<Store>,
    pruning: Pruning,
}

/// How long the database is waited for when the Cabinet ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("local_addr", &self.local_addr)
            .finish_non_exhaustive()
    }
}

/// Opens the database, applies migrations and listens, with the clock and the random numbers of
/// this machine.
///
/// # Errors
/// Bad settings, an unusable database, or an address that is taken.
pub async fn bind(settings: Settings) -> Result<Bound, CabinetError> {
    bind_with(settings, Ports::system()).await
}

/// As [`bind`], with the given clock and random numbers.
///
/// # Errors
/// As [`bind`].
pub async fn bind_with(settings: Settings, ports: Ports) -> Result<Bound, CabinetError> {
    let draining = CancellationToken::new();
    // Settings are checked before the database is touched.
    let ports = Arc::new(ports);
    let config = http::AppConfig::new(&settings, Arc::clone(&ports), draining.clone())?;
    let removed_retention = settings.removed_retention()?;
    let store = Arc::new(Store::open(settings.database()?).await?);
    let listen = |source| CabinetError::Listen {
        address: settings.listen,
        source,
    };
    let listener = http_server::listen(settings.listen).map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;
    tracing::info!(%local_addr, "cabinet.started");
    Ok(Bound {
        listener,
        local_addr,
        router: http::router(Arc::new(App::new(config, Arc::clone(&store)))),
        draining,
        pruning: Pruning {
            store: Arc::clone(&store),
            ports,
            removed_retention,
        },
        store,
    })
}

impl Bound {
    /// Where the Cabinet listens; the real port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves and prunes until `shutdown` fires and the running requests are answered. Long polls
    /// are answered at once then. Closes the database at last.
    ///
    /// # Errors
    /// None at present: a failed accept is logged and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), CabinetError> {
        let draining = self.draining.clone();
        let server = http_server::serve(
            self.listener,
            self.router,
            ServerLimits::default(),
            self.draining,
        );
        let drain = async {
            shutdown.cancelled().await;
            draining.cancel();
        };
        tokio::join!(server, drain, self.pruning.run(&shutdown));
        // SQLite folds its log into the file, which alone is the whole database then.
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await;
        if closed.is_err() {
            tracing::warn!("database.close_timed_out");
        }
        Ok(())
    }
}
