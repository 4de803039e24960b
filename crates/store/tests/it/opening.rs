//! Opening, migrating and reopening.

use std::os::unix::fs::PermissionsExt;

use dps_application::ports::SyncStore as _;
use dps_application::ports::store::{CertificateStore, StoreError};
use dps_store::{ConnectError, MigrateError, Store};

use crate::world::{World, at, options};

pub(crate) async fn processes_may_migrate_at_the_same_time(world: World) {
    let empty = world.without_tables().await;
    assert!(empty.store.ping().await.is_err(), "there are no tables yet");
    let mut processes = Vec::new();
    for _ in 0..4 {
        let store = empty.open_again().await;
        processes.push(tokio::spawn(
            async move { store.database().migrate().await },
        ));
    }
    for process in processes {
        process.await.unwrap().unwrap();
    }
    empty.store.ping().await.unwrap();
}

pub(crate) async fn migrating_again_changes_nothing(world: World) {
    let stored = world.with_due("shop.example", at(0)).await;
    world.store.database().migrate().await.unwrap();
    assert_eq!(world.read(stored.id).await, stored);
}

pub(crate) async fn a_database_of_a_newer_version_is_refused(world: World) {
    world
        .sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, 'from_the_future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    let refused = world.store.database().migrate().await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::NewerDatabase { version: 9999 }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("newer version"));
}

pub(crate) async fn a_migration_in_another_form_is_refused(world: World) {
    world
        .sql(
            "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 2) \
             WHERE version = 1",
        )
        .await;
    let refused = world.store.database().migrate().await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::Altered { version: 1 }),
        "{refused:?}"
    );
}

pub(crate) async fn reopening_keeps_everything(world: World) {
    let stored = world.with_due("shop.example", at(0)).await;
    let order = world.with_order(stored.id).await;
    let lease = world.acquire_one(at(1)).await;
    world.store.database().close().await;
    let again = world.open_again().await;
    again.database().migrate().await.unwrap();
    assert_eq!(again.order_open(stored.id).await.unwrap(), Some(order));
    assert_eq!(again.domain(stored.id).await.unwrap().unwrap().attempt, 1);
    again.release(stored.id, lease.token).await.unwrap();
    assert_eq!(again.domain(stored.id).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn the_database_file_is_made_on_first_start_and_is_ours_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("first start.db");
    let url = format!("sqlite://{}", path.display());
    let store = Store::connect(&url, options()).await.unwrap();
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    assert!(path.exists());
}

#[tokio::test]
async fn a_store_in_memory_lives_as_long_as_it_is_open() {
    let store = Store::connect("sqlite::memory:", options()).await.unwrap();
    store.migrate().await.unwrap();
    assert!(store.cursor_advance("feed", None, "7").await.unwrap());
    assert_eq!(store.cursor("feed").await.unwrap().as_deref(), Some("7"));
    let other = Store::connect("sqlite::memory:", options()).await.unwrap();
    other.migrate().await.unwrap();
    assert_eq!(other.cursor("feed").await.unwrap(), None);
}

#[tokio::test]
async fn a_file_in_a_directory_that_does_not_exist_is_named() {
    let error = Store::connect("sqlite:///nonexistent/dps.db", options())
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("/nonexistent/dps.db"));
}

async fn refusal(url: &str) -> String {
    let mut options = options();
    options.acquire_timeout = std::time::Duration::from_millis(500);
    let error = Store::connect(url, options).await.unwrap_err();
    dps_domain::with_causes(&error)
}

#[tokio::test]
async fn the_reason_of_a_refused_connection_appears_once_with_its_remedy() {
    let url = dps_lab::postgres::fresh_database().await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let address = server.rsplit_once('@').unwrap().1;
    let missing = refusal(&format!("{server}/nowhere")).await;
    assert_eq!(
        missing,
        format!(
            "the database at {address} refuses the connection: database \"nowhere\" does not exist; create it, or correct the database \
             in the connection string"
        )
    );
    let stranger = refusal(&format!("postgres://stranger@{address}/nowhere")).await;
    assert!(
        stranger.contains("role \"stranger\" does not exist; create the role"),
        "{stranger}"
    );
    let port = dps_lab::free_port().unwrap();
    let unreachable = refusal(&format!("postgres://dps@127.0.0.1:{port}/dps")).await;
    assert!(
        unreachable.starts_with(&format!(
            "the database at 127.0.0.1:{port} does not answer: connection refused; start it"
        )),
        "{unreachable}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named_without_the_password() {
    let port = dps_lab::free_port().unwrap();
    for text in [
        format!("postgres://dps:hunter2@127.0.0.1:{port}/dps"),
        format!("Host=127.0.0.1;Port={port};Database=dps;Username=dps;Password=hunter2"),
    ] {
        let mut options = options();
        options.acquire_timeout = std::time::Duration::from_millis(500);
        let error = Store::connect(&text, options).await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("127.0.0.1:{port}")),
            "{error}"
        );
        let mut chain = format!("{error:?}");
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = source {
            chain.push_str(&error.to_string());
            source = error.source();
        }
        assert!(!chain.contains("hunter2"), "{chain}");
    }
}

#[tokio::test]
async fn the_npgsql_form_reaches_the_same_server() {
    let url = dps_lab::postgres::fresh_database().await.unwrap();
    let (address, database) = url.rsplit_once('@').unwrap().1.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let text = format!(
        "Host={host};Port={port};Database={database};Username=postgres;Password=x;SSL Mode=Disable"
    );
    let store = Store::connect(&text, options()).await.unwrap();
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
    assert!(!format!("{store:?}").contains("Password"));
}

#[tokio::test]
async fn the_store_recovers_by_itself_when_the_server_was_restarted() {
    let mut server = dps_lab::postgres::Postgres::start().await.unwrap();
    let url = server.create_database().await.unwrap();
    let mut options = options();
    options.acquire_timeout = std::time::Duration::from_secs(1);
    let store = Store::connect(&url, options).await.unwrap();
    store.migrate().await.unwrap();
    server.server().kill().unwrap();
    let down = store.ping().await;
    assert!(
        matches!(down, Err(StoreError::Unavailable { .. })),
        "{down:?}"
    );
    server.restart().await.unwrap();
    store.ping().await.unwrap();
}
