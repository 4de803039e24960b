//! Broken worlds, each of which a diagnosis leads to its cause. Nothing is ordered for it, and
//! nothing in the store changes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use dps_lab::acme_double::{AcmeDouble, Endpoint, Fault, Reply};
use dps_lab::proxy::TcpProxy;
use dps_lab::tls::{LocalAuthority, TlsServer};
use dps_lab::wait;
use dps_lab::web::{Answer, WebServer};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use crate::admin;
use crate::world::{EDGE, MORE_EDGES, Options, STRANGER, TARGET, TIMEOUT, World, dps};

/// A name that is served.
const SERVED: &str = "shop.served.test";
/// A proxy that passes requests on.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
/// An address that counts as ours, where nobody listens.
const CLOSED: Ipv4Addr = MORE_EDGES[0];
/// An address that counts as ours, where a server redirects.
const REDIRECTING: Ipv4Addr = MORE_EDGES[1];

/// A broken world, with the row to act on.
struct Case {
    host: &'static str,
    row: &'static str,
    code: &'static str,
    breaks: fn(&World, &str),
}

const CASES: [Case; 9] = [
    Case {
        host: "shop.elsewhere-points.test",
        row: "dns",
        code: "DNS_WRONG_TARGET",
        breaks: |world, host| {
            for zone in [&world.zone, &world.second_zone] {
                zone.set_cname(host, "shops.elsewhere.test").unwrap();
                zone.set_a("shops.elsewhere.test", &[[192, 0, 2, 7].into()]);
            }
        },
    },
    Case {
        host: "shop.stray.test",
        row: "dns",
        code: "DNS_STRAY_ADDRESS",
        breaks: |world, host| {
            let stray = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
            point_at(world, host, EDGE);
            for zone in [&world.zone, &world.second_zone] {
                zone.set_aaaa(host, &[stray]);
            }
        },
    },
    Case {
        host: "shop.proxied.test",
        row: "proxy",
        code: "CDN_IN_FRONT",
        breaks: |world, host| point_at(world, host, PROXY),
    },
    Case {
        host: "shop.answers-everything.test",
        row: "path",
        code: "HTTP_WRONG_RESPONDER",
        breaks: |world, host| point_at(world, host, STRANGER),
    },
    Case {
        host: "shop.closed.test",
        row: "path",
        code: "HTTP_REFUSED",
        breaks: |world, host| point_at(world, host, CLOSED),
    },
    Case {
        host: "shop.redirects.test",
        row: "path",
        code: "HTTP_REDIRECT",
        breaks: |world, host| point_at(world, host, REDIRECTING),
    },
    Case {
        host: "shop.forbids.test",
        row: "caa",
        code: "CAA_FORBIDS",
        breaks: |world, host| {
            world.point_at_us(host);
            for zone in [&world.zone, &world.second_zone] {
                zone.set_caa("forbids.test", &[(0, "issue", "other.test")]);
            }
        },
    },
    // The served name used the only certificate of its registered domain up.
    Case {
        host: "www.served.test",
        row: "ledger",
        code: "ACME_RATE_LIMITED",
        breaks: World::point_at_us,
    },
    Case {
        host: "shop.disagrees.test",
        row: "agreement",
        code: "DNS_PROPAGATING",
        breaks: |world, host| world.zone.set_cname(host, TARGET).unwrap(),
    },
];

fn point_at(world: &World, host: &str, address: Ipv4Addr) {
    for zone in [&world.zone, &world.second_zone] {
        zone.set_a(host, &[address]);
    }
}

/// The diagnosis by the command line, which takes no turn from the next one.
async fn diagnose(home: &Path, host: &str) -> Value {
    let output = dps(home, &["diagnose", host, "--json"]);
    assert!(output.status.success(), "{output:?}");
    forget_turns(home).await;
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn forget_turns(home: &Path) {
    let options = SqliteConnectOptions::new().filename(home.join("dps.db"));
    let mut store: SqliteConnection = options.connect().await.unwrap();
    let forget = sqlx::query("DELETE FROM chores WHERE name = 'domain.diagnose'");
    forget.execute(&mut store).await.unwrap();
    store.close().await.unwrap();
}

/// The row to act on.
fn first(diagnosis: &Value) -> &Value {
    let rows = diagnosis["rows"].as_array().unwrap();
    let first = rows.iter().find(|row| row["status"] != "ok");
    first.unwrap_or_else(|| panic!("nothing is wrong: {diagnosis:#}"))
}

/// All that the store holds.
async fn dump(home: &Path) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(home.join("dps.db"));
    let mut store: SqliteConnection = options.connect().await.unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let tables: Vec<String> = sqlx::query_scalar(tables)
        .fetch_all(&mut store)
        .await
        .unwrap();
    let mut all = Vec::new();
    for table in tables {
        let columns = format!("SELECT name FROM pragma_table_xinfo('{table}')");
        let columns: Vec<String> = sqlx::query_scalar(AssertSqlSafe(columns))
            .fetch_all(&mut store)
            .await
            .unwrap();
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("quote(\"{column}\")"))
            .collect();
        let columns = columns.join(" || ',' || ");
        let rows = format!("SELECT {columns} FROM \"{table}\" ORDER BY 1");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_all(&mut store)
            .await
            .unwrap();
        all.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    store.close().await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_world_has_its_cause_in_the_first_row_and_nothing_is_written() {
    let settings = json!({
        "LetsEncrypt": {
            "CaaIdentities": ["ca.test"],
            "Limits": { "RegisteredDomain": "1 per 7d" },
        },
        "Workers": { "HttpProbe": { "ProxyNetworks": [format!("{PROXY}/32")] } },
    });
    let options = Options {
        split_dns: true,
        ..Options::quick()
    };
    let mut world = World::start(options.with(&settings)).await;
    let port = world.http().port();
    let moved = Answer::Redirect {
        status: 301,
        location: "https://elsewhere.test/".to_owned(),
    };
    let _redirecting = WebServer::start((REDIRECTING, port).into(), moved)
        .await
        .unwrap();
    let proxy = TcpProxy::start(SocketAddr::from((PROXY, port)), world.http()).await;
    let _proxy = proxy.unwrap();
    let served = world.add(SERVED).await;
    world.wait_for_status(&served, "Active").await;
    let mut sentences = Vec::new();
    for case in &CASES {
        (case.breaks)(&world, case.host);
        let id = world.customer.add(case.host).await;
        let reported = world.wait_for_code(&id, case.code).await;
        sentences.push(reported["lastErrorMessage"].clone());
    }
    world.service.kill().unwrap();
    let before = dump(world.home()).await;
    for (case, sentence) in CASES.iter().zip(&sentences) {
        let diagnosis = diagnose(world.home(), case.host).await;
        let found = first(&diagnosis);
        assert_eq!(found["id"], case.row, "{diagnosis:#}");
        assert_eq!(found["code"], case.code, "{diagnosis:#}");
        assert_eq!(found["status"], "failed", "{diagnosis:#}");
        assert_eq!(found["details"]["failure"]["code"], case.code);
        // The other sentences name a time.
        if !sentence.as_str().unwrap().contains("202") {
            assert_eq!(&found["message"], sentence, "{diagnosis:#}");
        }
        assert!(found["remedy"].is_string(), "{diagnosis:#}");
        assert!(diagnosis["tookMs"].as_u64().unwrap() < 10_000);
    }
    let whole = diagnose(world.home(), SERVED).await;
    let rows = whole["rows"].as_array().unwrap();
    let wrong: Vec<&Value> = rows
        .iter()
        .filter(|row| row["status"] != "ok" && row["id"] != "ledger")
        .collect();
    assert!(wrong.is_empty(), "{whole:#}");
    edges(&mut world).await;
    assert_eq!(dump(world.home()).await, before);
    for case in &CASES {
        assert_eq!(world.pebble.orders_for(case.host), 0, "{}", case.host);
    }
    assert_eq!(world.pebble.orders_for(SERVED), 1);
}

/// An edge that is away, and one that presents another certificate.
async fn edges(world: &mut World) {
    world.agent.kill().unwrap();
    let away = diagnose(world.home(), SERVED).await;
    let found = first(&away);
    assert_eq!(
        (&found["id"], &found["code"]),
        (&json!("agent"), &json!("EDGE_UNREACHABLE")),
        "{away:#}"
    );
    assert!(found["subject"].is_string(), "{away:#}");
    for _ in 0..5 {
        let text = dps(world.home(), &["diagnose", SERVED]);
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(text.contains("\n  Act on: agent of http://"), "{text}");
    }
    let sixth = dps(world.home(), &["diagnose", SERVED]);
    assert!(!sixth.status.success(), "{sixth:?}");
    let said = String::from_utf8_lossy(&sixth.stderr);
    assert!(
        said.contains("5 diagnoses a minute; try again in"),
        "{said}"
    );
    forget_turns(world.home()).await;

    let another = LocalAuthority::new().unwrap().certify(&[SERVED]).unwrap();
    let server = TlsServer::start((Ipv4Addr::LOCALHOST, 0).into(), &another)
        .await
        .unwrap();
    let file = world.home().join("appsettings.json");
    let text = std::fs::read(&file).unwrap();
    let mut settings: Value = serde_json::from_slice(&text).unwrap();
    // In place of HAProxy, where the agent makes its handshakes.
    settings["Agent"]["TlsAddress"] = json!(server.address());
    std::fs::write(&file, settings.to_string()).unwrap();
    world.restart_agent().await;
    let other = diagnose(world.home(), SERVED).await;
    let found = first(&other);
    assert_eq!(
        (&found["id"], &found["code"]),
        (&json!("certificate"), &json!("EDGE_MISMATCH")),
        "{other:#}"
    );
    let details = &found["details"];
    assert_ne!(details["presented"], details["wanted"], "{other:#}");
    assert!(details["presented"].is_string(), "{other:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_name_is_the_row_to_act_on_and_gets_no_order() {
    const HOST: &str = "shop.bakery.test";
    let double = AcmeDouble::start().await.unwrap();
    let link = "https://ca.example/sfe/v1/unpause?jwt=abc.def";
    double.inject(
        Endpoint::NewOrder,
        1,
        &Fault::Reply(Reply::paused(HOST, link)),
    );
    let settings = json!({ "LetsEncrypt": {
        "DirectoryUrl": double.directory_url(),
        "CaCertificateFile": null,
    } });
    let mut world = World::start(Options::quick().with(&settings)).await;
    let id = world.add(HOST).await;
    let reported = world.wait_for_code(&id, "ACME_PAUSED").await;
    // HAProxy starts after the agent, which notices it by its next round.
    let health = format!("http://{}/health", world.agent_listen());
    wait::until("the agent's health", TIMEOUT, async || {
        (world.customer.get(&health).await.0 == 200).then_some(())
    })
    .await
    .unwrap();
    world.service.kill().unwrap();
    let before = dump(world.home()).await;
    let diagnosis = diagnose(world.home(), HOST).await;
    let found = first(&diagnosis);
    assert_eq!(found["id"], "pause", "{diagnosis:#}");
    assert_eq!(found["code"], "ACME_PAUSED");
    assert_eq!(found["message"], reported["lastErrorMessage"]);
    assert!(found["remedy"].as_str().unwrap().contains(link));
    assert_eq!(dump(world.home()).await, before);
    assert_eq!(double.requests(Endpoint::NewOrder), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_diagnoses_for_operators_and_five_times_a_minute() {
    let (world, api) = admin::world(Options::quick()).await;
    let id = world.add(SERVED).await;
    world.wait_for_status(&id, "Active").await;
    let path = format!("/admin/v1/domains/{SERVED}/diagnose");
    let (status, _) = api.post(&path, admin::VIEWER, json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let unknown = "/admin/v1/domains/www.nowhere.test/diagnose";
    let (status, _) = api.post(unknown, admin::OPERATOR, json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, made) = api.post(&path, admin::OPERATOR, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let rows = made["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["status"] == "ok"), "{made:#}");
    assert!(rows.iter().any(|row| row["id"] == "certificate"));
    for _ in 0..3 {
        let (status, made) = api.post(&path, admin::OPERATOR, json!({})).await;
        assert_eq!(status, StatusCode::OK, "{made}");
    }
    let (status, problem) = api.post(&path, admin::OPERATOR, json!({})).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem}");
    assert_eq!(problem["code"], "TOO_MANY_REQUESTS");
    assert_eq!(world.pebble.orders_for(SERVED), 1);
}
