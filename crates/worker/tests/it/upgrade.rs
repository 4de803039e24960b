//! A service that is upgraded continues with the databases of its predecessor.
//!
//! The dumps in `tests/upgrade` were made by the program of 2026-11-29 with schema 16, which was
//! killed in the middle of five issuances. Its CA and its edge are gone; the databases are left.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dps_domain::{Phase, Timestamp};
use dps_lab::postgres;
use serde_json::json;

use crate::world::{Database, EDGE, Options, World, dps, npgsql};

const SQLITE: Dump = Dump {
    store: include_str!("../upgrade/store-sqlite.sql"),
    cabinet: include_str!("../upgrade/cabinet-beside-sqlite.sql"),
    directory_url: "https://127.0.0.1:44011/dir",
    root_pem: include_str!("../upgrade/sqlite-root.pem"),
    key_encryption_key: "key-1d40914b:vJdYok57HYQmF2Yb0PtN++p/e+DZ2cj/5gl6/Wo9sKg=",
};
const POSTGRES: Dump = Dump {
    store: include_str!("../upgrade/store-postgres.sql"),
    cabinet: include_str!("../upgrade/cabinet-beside-postgres.sql"),
    directory_url: "https://127.0.0.1:32877/dir",
    root_pem: include_str!("../upgrade/postgres-root.pem"),
    key_encryption_key: "first:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
};
/// The key that the keys of a dump are sealed with anew.
const NEW_KEY: &str = "second:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

/// Domains that were served, whose DNS still points to us.
const LIVE: &str = "live.upgrade.test";
const RENEWING: &str = "renewing.upgrade.test";
/// A domain that was served and had moved away.
const MOVED: &str = "moved.upgrade.test";
/// Domains whose order was under way, named after what was stored last.
const ORDERED: [&str; 3] = [
    "order-saved.upgrade.test",
    "challenge-saved.upgrade.test",
    "key-saved.upgrade.test",
];
/// A domain whose certificate was stored and not yet deployed.
const ISSUED: &str = "certificate-saved.upgrade.test";

/// The databases that a predecessor left.
struct Dump {
    store: &'static str,
    cabinet: &'static str,
    /// The directory of the CA that issued.
    directory_url: &'static str,
    /// The root of that CA.
    root_pem: &'static str,
    /// As in `CertificateStore:EncryptionKeyFile`.
    key_encryption_key: &'static str,
}

/// An empty database for a dump of the store.
#[derive(Clone)]
enum Target {
    Sqlite,
    Postgres { psql: PathBuf, url: String },
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_continues_with_a_sqlite_store_of_schema_16() {
    upgrade(Target::Sqlite, &SQLITE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_continues_with_a_postgresql_store_of_schema_16() {
    upgrade(Target::postgres().await, &POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_private_key_of_a_sqlite_store_of_schema_16_can_be_read() {
    seal_anew(&Target::Sqlite, &SQLITE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_private_key_of_a_postgresql_store_of_schema_16_can_be_read() {
    seal_anew(&Target::postgres().await, &POSTGRES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_had_moved_away_in_a_sqlite_store_of_schema_16_still_has() {
    find_moved_away(&Target::Sqlite, &SQLITE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_had_moved_away_in_a_postgresql_store_of_schema_16_still_has() {
    find_moved_away(&Target::postgres().await, &POSTGRES);
}

/// Starts everything on the predecessor's databases, with a CA and an edge that know nothing, and
/// waits until each domain is where it belongs.
async fn upgrade(target: Target, dump: &'static Dump) {
    let limits = json!({ "LetsEncrypt": { "Limits": {
        "NewOrders": "300 per 3h", "RegisteredDomain": "50 per 7d",
        "ExactSet": "5 per 7d", "FailedValidations": "5 per 1h",
    } } });
    let database = match &target {
        Target::Sqlite => Database::Sqlite,
        Target::Postgres { url, .. } => Database::Postgres(npgsql(url)),
    };
    let options = Options {
        database,
        prepare: Some(Box::new(move |home, directory_url| {
            dump.load(home, &target, directory_url);
        })),
        ..Options::quick().with(&limits)
    };
    let world = World::start(options).await;
    for host in [LIVE, RENEWING, ISSUED].into_iter().chain(ORDERED) {
        point_by_address(&world, host);
    }

    // An edge that has none of them at first serves what was served and issued.
    for host in [LIVE, MOVED, ISSUED] {
        world.wait_until_served_by(host, dump.root_pem).await;
        assert_eq!(world.pebble.orders_for(host), 0, "{host}");
    }
    // Orders that were under way are unknown to this CA; each is placed once more.
    for host in ORDERED.into_iter().chain([RENEWING]) {
        world.wait_until_served(host).await;
        assert_eq!(world.pebble.orders_for(host), 1, "{host}");
    }
    // A served, uncontested name is renewed by address, without a proof.
    for host in [LIVE, ISSUED] {
        said(world.home(), &["domains", "renew", host]);
        world.wait_until_served(host).await;
        assert_eq!(world.pebble.orders_for(host), 1, "{host}");
    }
    for host in [LIVE, RENEWING, ISSUED].into_iter().chain(ORDERED) {
        let id = world.customer.id_of(host).await;
        let active = world.wait_for_status(&id, "Active").await;
        assert!(active["ownershipVerification"].is_null(), "{active}");
        let history = said(world.home(), &["domains", "show", host]);
        assert!(!history.contains("DNS_OWNERSHIP_REQUIRED"), "{history}");
    }
    let moved = world.customer.id_of(MOVED).await;
    world.wait_for_code(&moved, "DNS_MOVED").await;
    let rejected = world.customer.id_of("shop.rejected.test").await;
    let rejected = world.wait_for_status(&rejected, "Failed").await;
    assert_eq!(
        rejected["lastErrorCode"], "ACME_REJECTED_IDENTIFIER",
        "{rejected}"
    );
    let pending = world.customer.id_of("pending.upgrade.test").await;
    let pending = world.wait_for_code(&pending, "DNS_NXDOMAIN").await;
    assert_eq!(pending["status"], "PendingDns", "{pending}");
    let log = world.service.log_text();
    assert!(!log.contains(r#""level":"ERROR""#), "{log}");
}

/// A name with the address of the edge, without a CNAME.
fn point_by_address(world: &World, host: &str) {
    for zone in [&world.zone, &world.second_zone] {
        zone.clear(host);
        zone.set_a(host, &[EDGE]);
    }
}

/// Migrates a dump, and reads which domains have moved away: one that is served, and one whose
/// certificate has ended.
fn find_moved_away(target: &Target, dump: &Dump) {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    dump.load(home, target, dump.directory_url);
    let ended = r#"{"expired":{"certificate":"01a22843-618e-7d95-80c6-87b3407e6143","notAfter":"2026-11-24T17:03:53Z","issuance":"awaitingDns"}}"#;
    target.query(
        home,
        &format!(
            "UPDATE custom_domains SET phase = '{ended}', last_failure = (SELECT last_failure \
             FROM custom_domains WHERE hostname = '{MOVED}') WHERE hostname = '{RENEWING}'"
        ),
    );
    migrated(home, target, dump);
    let found = target.query(
        home,
        "SELECT hostname || ' ' || moved_away_since || ' ' || phase FROM custom_domains \
         WHERE moved_away_since IS NOT NULL ORDER BY hostname",
    );
    let hosts = found.lines().map(|line| {
        let mut words = line.split(' ');
        let (host, since) = (words.next().unwrap(), words.next().unwrap());
        let phase = words.next().unwrap();
        let read: Phase = serde_json::from_str(phase).unwrap();
        let since = Timestamp::from_unix_micros(since.parse().unwrap());
        assert_eq!(read.moved_away_since(), Some(since), "{line}");
        // A step that keeps the phase keeps its lease by this text.
        assert_eq!(serde_json::to_string(&read).unwrap(), phase);
        host
    });
    assert_eq!(hosts.collect::<Vec<_>>(), [MOVED, RENEWING]);
}

/// Seals every private key of a dump anew, which takes reading each of them.
fn seal_anew(target: &Target, dump: &Dump) {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    dump.load(home, target, dump.directory_url);
    migrated(home, target, dump);
    // The keys of the account, of five certificates and of two orders. Five more orders had the key
    // of a certificate that is stored, which the migration erased.
    assert_eq!(
        said(home, &["keys", "rotate"]),
        "8 private keys were encrypted again; 0 already used the current key.\n"
    );
}

/// Writes the settings for a store that was loaded, and migrates it.
fn migrated(home: &Path, target: &Target, dump: &Dump) {
    let store = match target {
        Target::Sqlite => format!("sqlite://{}", home.join("dps.db").display()),
        Target::Postgres { url, .. } => url.clone(),
    };
    let keys = home.join("kek");
    write_secret(&keys, &format!("{NEW_KEY}\n{}\n", dump.key_encryption_key));
    let settings = json!({ "CertificateStore": {
        "ConnectionString": store, "EncryptionKeyFile": keys,
    } });
    // It may hold the password of a database.
    write_secret(&home.join("appsettings.json"), &settings.to_string());
    said(home, &["migrate"]);
}

/// The output of a command that succeeds.
fn said(home: &Path, arguments: &[&str]) -> String {
    let done = dps(home, arguments);
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

impl Target {
    async fn postgres() -> Self {
        let server = postgres::shared().await.unwrap();
        Self::Postgres {
            psql: server.program("psql"),
            url: server.create_database().await.unwrap(),
        }
    }

    /// The rows that a statement returns, one a line.
    fn query(&self, home: &Path, sql: &str) -> String {
        let mut command = match self {
            Self::Sqlite => {
                let mut sqlite = Command::new("sqlite3");
                sqlite.arg("-bail").arg(home.join("dps.db"));
                sqlite
            }
            Self::Postgres { psql, url } => {
                let mut psql = Command::new(psql);
                psql.args(["-X", "-q", "-A", "-t"]).arg(url).arg("-c");
                psql
            }
        };
        let done = command.arg(sql).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Dump {
    /// Fills the databases, which are empty, as if the CA had been the one at `directory_url`.
    fn load(&self, home: &Path, target: &Target, directory_url: &str) {
        let server = |url: &str| url.trim_end_matches("/dir").to_owned();
        let mut store = self
            .store
            .replace(&server(self.directory_url), &server(directory_url));
        if directory_url != self.directory_url {
            // The account's key is sealed for the directory that it was registered at.
            store.push_str("DELETE FROM acme_accounts;\n");
        }
        match target {
            Target::Sqlite => {
                run(
                    Command::new("sqlite3")
                        .arg("-bail")
                        .arg(home.join("dps.db")),
                    &store,
                );
                let keys = format!("{}\n", self.key_encryption_key);
                write_secret(&home.join("dps.kek"), &keys);
            }
            Target::Postgres { psql, url } => {
                let options = ["-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1"];
                // The dump ends with an empty search path.
                let store = store.replace("DELETE FROM ", "DELETE FROM public.");
                run(Command::new(psql).args(options).arg(url), &store);
            }
        }
        run(
            Command::new("sqlite3")
                .arg("-bail")
                .arg(home.join("cabinet.db")),
            self.cabinet,
        );
    }
}

/// Runs a program that reads its input to the end.
fn run(command: &mut Command, input: &str) {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "{command:?}");
}

fn write_secret(file: &Path, content: &str) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
