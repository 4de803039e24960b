//! Private keys are in clear only where HAProxy reads them. They are not in the database, in a dump
//! of it, in a log at the highest level, or on a command line. The value that proves a claim is in
//! no log either.

use std::path::Path;
use std::process::Command;

use dps_application::ports::Vault as _;
use dps_application::ports::store::AccountStore as _;
use dps_application::ports::vault::{SecretContext, SecretPurpose};
use dps_infrastructure::secrets::{EnvelopeVault, KeyRing};
use dps_lab::postgres;
use dps_store::{Store, StoreOptions};
use dps_worker::system::{ProcessClock, SystemRandomness};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;

use crate::world::{Database, Options, World, npgsql};

/// A bare level is for our own code; a library must be named to say all that it can.
const EVERYBODY: &str = "trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,sqlx=trace,sqlx_core=trace,sqlx_postgres=trace,\
                         instant_acme=trace,hickory_proto=trace,hickory_resolver=trace,hickory_net=trace,axum=trace,tower=trace,\
                         tower_http=trace,tokio_util=trace,h2=trace,mio=trace";
const HOST: &str = "shop.bakery.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_private_key_is_in_clear_in_a_sqlite_store_nor_in_any_log_at_trace_level() {
    let (world, proof) = issued(Database::Sqlite, "trace").await;
    let file = world.home().join("dps.db");
    let mut places = places_besides_the_store(&world);
    search_for_proof(&proof, &places);
    for name in [
        "dps.db",
        "dps.db-wal",
        "dps.db-shm",
        "cabinet.db",
        "cabinet.db-wal",
    ] {
        if let Ok(bytes) = std::fs::read(world.home().join(name)) {
            places.push((name.to_owned(), bytes));
        }
    }
    let dump = Command::new("sqlite3").arg(&file).arg(".dump").output();
    places.push(dumped("sqlite3 .dump", dump));
    let connection = format!("sqlite://{}", file.display());
    search(&world, &connection, &world.home().join("dps.kek"), &places).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_private_key_is_in_clear_in_a_dump_of_postgresql_nor_in_any_log_with_every_library_talking()
 {
    let url = postgres::fresh_database().await.unwrap();
    let (world, proof) = issued(Database::Postgres(npgsql(&url)), EVERYBODY).await;
    let mut places = places_besides_the_store(&world);
    search_for_proof(&proof, &places);
    for (place, bytes) in &places {
        // Those that hold private keys have libraries that talk.
        let talks = ["the log of dps run", "the log of dps agent"].contains(&place.as_str());
        assert!(
            !talks || contains(bytes, b"\"TRACE\""),
            "{place} is not at trace level"
        );
    }
    let pg_dump = postgres::shared().await.unwrap().program("pg_dump");
    places.push(dumped("pg_dump", Command::new(pg_dump).arg(&url).output()));
    search(&world, &url, &world.home().join("kek"), &places).await;
}

/// A world with an active domain, where everybody says as much as can be asked for, and the value
/// that proves its claim.
async fn issued(database: Database, log_directives: &'static str) -> (World, String) {
    let trace = serde_json::json!({
        "Logging": { "Level": "Trace" },
        "Workers": { "DomainVerification": {
            "RequireProof": "Always", "Interval": "300ms", "MaxBackoff": "1s",
        } },
    });
    let options = Options {
        database,
        environment: vec![("RUST_LOG", log_directives)],
        ..Options::default().with(&trace)
    };
    let world = World::start(options).await;
    let id = world.add(HOST).await;
    let asked = world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await;
    world.publish_proof(&asked);
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
    let proof = asked["ownershipVerification"]["value"].as_str().unwrap();
    (world, proof.to_owned())
}

/// Searches the logs and command lines for the value that proves the claim: the whole, and its
/// random part alone.
fn search_for_proof(proof: &str, places: &[(String, Vec<u8>)]) {
    let (_, random) = proof.split_once('=').unwrap();
    assert_eq!(random.len(), 32, "{proof}");
    for (place, bytes) in places {
        assert!(
            !contains(bytes, random.as_bytes()),
            "the value of the proof is in {place}"
        );
    }
}

/// The logs of all three processes, and their command lines.
fn places_besides_the_store(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut places = Vec::new();
    for process in [&world.service, &world.agent, &world.cabinet] {
        let name = process.spec().name();
        let log = process.log_text();
        places.push((format!("the log of {name}"), log.into_bytes()));
        let line = std::fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap();
        assert!(line.starts_with(env!("CARGO_BIN_EXE_dps").as_bytes()));
        places.push((format!("the command line of {name}"), line));
    }
    places
}

fn dumped(name: &str, output: std::io::Result<std::process::Output>) -> (String, Vec<u8>) {
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        contains(&output.stdout, HOST.as_bytes()),
        "{name} shows nothing"
    );
    (name.to_owned(), output.stdout)
}

/// Searches for both keys, in all forms that they can have, in all places.
async fn search(
    world: &World,
    connection_string: &str,
    key_file: &Path,
    places: &[(String, Vec<u8>)],
) {
    let served = served_key(&world.agent_state());
    let account = account_key(connection_string, &world.pebble.directory_url(), key_file).await;
    for (whose, pem) in [("the certificate's", served), ("the account's", account)] {
        let forms = forms(&pem);
        for (form, needle) in &forms {
            assert!(
                contains(pem.as_bytes(), needle) || !form.starts_with("PEM"),
                "{whose} {form}"
            );
            for (place, bytes) in places {
                assert!(
                    !contains(bytes, needle),
                    "{whose} key as {form} is in {place}"
                );
            }
        }
    }
}

/// The forms of a key: PEM, DER, Base64, hexadecimal, and its secret number alone.
fn forms(pem: &str) -> Vec<(&'static str, Vec<u8>)> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let der = der.secret_der();
    // The private key of a curve is an octet string of 32 bytes (RFC 5915 §3).
    let marker = der
        .windows(2)
        .position(|bytes| bytes == [0x04, 0x20])
        .unwrap();
    let secret = &der[marker + 2..marker + 34];
    let mut forms = vec![
        ("PEM", b"PRIVATE KEY-----".to_vec()),
        ("DER", der.to_vec()),
        ("its secret number", secret.to_vec()),
    ];
    for bytes in [der, secret] {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.concat();
        forms.push(("hexadecimal in capitals", hex.to_uppercase().into_bytes()));
        forms.push(("hexadecimal", hex.into_bytes()));
        let decimal: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        forms.push(("a list of numbers", decimal.join(", ").into_bytes()));
    }
    let body = pem.lines().filter(|line| !line.starts_with("-----"));
    forms.extend(body.map(|line| ("PEM line", line.as_bytes().to_vec())));
    forms
}

/// The key that HAProxy serves with, from where the agent keeps it.
fn served_key(state: &Path) -> String {
    let shards = std::fs::read_dir(state.join("certs")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let file = files.map(|file| file.unwrap().path()).next().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let begin = text.find("-----BEGIN PRIVATE KEY-----").unwrap();
    let end = text[begin..].find("-----END PRIVATE KEY-----").unwrap();
    format!("{}-----END PRIVATE KEY-----\n", &text[begin..begin + end])
}

/// The key of the account at the CA, opened with the key-encryption key, which proves that the
/// right thing is searched for.
async fn account_key(connection_string: &str, directory_url: &str, key_file: &Path) -> String {
    let options = StoreOptions::new(
        std::sync::Arc::new(SystemRandomness),
        std::sync::Arc::new(ProcessClock::start()),
    );
    let store = Store::connect(connection_string, options).await.unwrap();
    let account = store.account(directory_url).await.unwrap().unwrap();
    let vault = EnvelopeVault::new(KeyRing::from_files(&[key_file]).unwrap());
    let place = SecretContext {
        purpose: SecretPurpose::AccountKey,
        row: directory_url,
    };
    vault
        .open(place, &account.key)
        .unwrap()
        .expose_secret()
        .to_owned()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
