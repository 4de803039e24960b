//! `dps config plan`: whose state a change of the configuration would touch.

use std::fs;

use serde_json::{Value, json};

use crate::admin::write_private;
use crate::world::{Database, Options, World, dps, npgsql_database};

const HOST: &str = "shop.bakery.test";
const WAITS: &str = "www.nowhere.test";

/// The settings of the world.
fn settings(world: &World) -> Value {
    let text = fs::read_to_string(world.home().join("appsettings.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The plan for these settings, which are in a folder of their own.
fn plan(world: &World, new: &Value) -> Value {
    let output = planned(world, new, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn planned(world: &World, new: &Value, more: &[&str]) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.json");
    write_private(&file, &new.to_string());
    let arguments = ["config", "plan", file.to_str().unwrap()];
    dps(world.home(), &[&arguments[..], more].concat())
}

/// The one effect of a plan, without its words.
fn effect(plan: &Value, reason: &str) -> [u64; 5] {
    let effects = plan["effects"].as_array().unwrap();
    assert_eq!(effects.len(), 1, "{plan:#}");
    assert_eq!(effects[0]["reason"], reason, "{plan:#}");
    ["domains", "tenants", "edges", "certificates", "events"]
        .map(|count| effects[0][count].as_u64().unwrap())
}

/// The settings with another value at this place.
fn with(now: &Value, path: &str, value: Value) -> Value {
    let mut new = now.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    new.pointer_mut(parent).unwrap()[name] = value;
    new
}

async fn says_whose_state(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let world = World::start(options).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let other = world.customer.add_for("tenant-2", WAITS).await;
    world.wait_for_code(&other, "DNS_NXDOMAIN").await;
    let now = settings(&world);
    let with = |path: &str, value: Value| with(&now, path, value);
    let same = plan(&world, &now);
    assert_eq!(same, json!({ "changes": [], "effects": [] }));
    let words = String::from_utf8(planned(&world, &now, &[]).stdout).unwrap();
    assert_eq!(words, "Nothing changes.\n");

    // Each reason, with the domains, tenants, edges, certificates and events that it touches.
    let url = json!("https://ca.example/directory");
    let ca = plan(&world, &with("/LetsEncrypt/DirectoryUrl", url));
    assert_eq!(effect(&ca, "ca"), [1, 1, 0, 1, 0]);
    let change = &ca["changes"][0];
    assert_eq!(change["setting"], "LetsEncrypt:DirectoryUrl", "{ca}");
    assert_eq!(change["to"], "\"https://ca.example/directory\"");
    assert_eq!(change["restart"], "dps run");
    let need = ca["effects"][0]["needs"][0].as_str().unwrap();
    assert!(need.contains("LetsEncrypt:AcceptDirectoryChange"), "{need}");

    let targets = json!(["elsewhere.test"]);
    let path = "/Workers/DomainVerification/AllowedTargets";
    let targets = plan(&world, &with(path, targets));
    assert_eq!(effect(&targets, "targets"), [2, 2, 0, 1, 0]);

    let edges = plan(
        &world,
        &with("/HAProxyAgent/BaseUrls", json!(["http://127.0.0.1:1"])),
    );
    // One leaves and one joins, each with the one certificate.
    assert_eq!(effect(&edges, "edges"), [1, 1, 2, 2, 0]);

    let limits = json!({ "NewOrders": "200 per 3h" });
    let limits = plan(&world, &with("/LetsEncrypt/Limits", limits));
    assert_eq!(effect(&limits, "limits"), [0; 5]);
    let recheck = plan(
        &world,
        &with("/Workers/Recheck", json!({ "Interval": "5h" })),
    );
    assert_eq!(effect(&recheck, "recheck"), [1, 1, 0, 1, 0]);
    let renewal = plan(
        &world,
        &with("/Workers/Renewal", json!({ "Concurrency": 3 })),
    );
    assert_eq!(effect(&renewal, "renewal"), [1, 1, 0, 1, 0]);
    let retention = json!(50);
    let retention = plan(
        &world,
        &with("/CertificateStore/EventsPerDomain", retention),
    );
    assert_eq!(effect(&retention, "retention"), [2, 2, 0, 1, 0]);

    databases_and_keys(&world, &now);
    words_and_refusals(&world, &now);
}

fn databases_and_keys(world: &World, now: &Value) {
    let elsewhere = format!("sqlite://{}", world.home().join("other.db").display());
    let mut moved = now.clone();
    moved["CertificateStore"] = json!({ "ConnectionString": elsewhere });
    if let Some(file) = now["CertificateStore"].get("EncryptionKeyFile") {
        moved["CertificateStore"]["EncryptionKeyFile"] = file.clone();
    } else {
        moved["CertificateStore"]["EncryptionKeyFile"] = json!(world.home().join("dps.kek"));
    }
    let found = plan(world, &moved);
    let database = &found["effects"][0];
    assert_eq!(database["reason"], "database", "{found:#}");
    assert_eq!(
        (&database["domains"], &database["edges"]),
        (&json!(2), &json!(1))
    );
    assert!(!world.home().join("other.db").exists(), "nothing is made");

    let key = world.home().join("new-key");
    write_private(
        &key,
        "second:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n",
    );
    let keys = plan(
        world,
        &with(now, "/CertificateStore/EncryptionKeyFile", json!(key)),
    );
    let [_, _, _, secrets, _] = effect(&keys, "encryptionKey");
    assert!(secrets >= 2, "an account key and a certificate's: {keys:#}");
    let needs = keys["effects"][0]["needs"].to_string();
    assert!(
        needs.contains("keep the key") && needs.contains("dps keys rotate"),
        "{needs}"
    );
}

fn words_and_refusals(world: &World, now: &Value) {
    // For people the same numbers.
    let text = planned(
        world,
        &with(now, "/Workers/Recheck", json!({ "Interval": "5h" })),
        &[],
    );
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("Workers:Recheck:Interval:") && text.contains("(restart dps run)"),
        "{text}"
    );
    assert!(
        text.contains("recheck") && text.contains("moved away by other rules"),
        "{text}"
    );
    // A change without stored state.
    let listen = with(now, "/Http/Listen", json!("127.0.0.1:1"));
    let text = String::from_utf8(planned(world, &listen, &[]).stdout).unwrap();
    assert!(text.ends_with("No stored state is touched.\n"), "{text}");

    // New settings that cannot be used are refused as by `dps config check`.
    let wrong = with(
        now,
        "/HAProxyAgent/BaseUrls",
        json!(["http://edge.example"]),
    );
    let refused = planned(world, &wrong, &[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("error: HAProxyAgent"), "{said}");
    let misspelt = planned(world, &json!({ "CabinetApi": { "BaseUri": "x" } }), &[]);
    let said = String::from_utf8(misspelt.stderr).unwrap();
    assert_eq!(misspelt.status.code(), Some(2), "{said}");
    assert!(said.contains("did you mean CabinetApi:BaseUrl?"), "{said}");
    // Nothing was written.
    let activity = dps(world.home(), &["activity", "--json"]);
    assert_eq!(activity.stdout, b"", "{activity:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_counts_what_each_change_would_touch_on_sqlite() {
    says_whose_state(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_counts_what_each_change_would_touch_on_postgresql() {
    says_whose_state(Database::Postgres(npgsql_database().await)).await;
}
