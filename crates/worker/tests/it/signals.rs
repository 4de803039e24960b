//! Metrics as Prometheus reads them, and the alerts that we ship: every fault fires its alert, and
//! nothing else fires.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_lab::LabError;
use dps_lab::acme_double::{AcmeDouble, Endpoint, Fault, Reply};
use dps_lab::postgres::Postgres;
use dps_lab::prometheus::{Prometheus, promtool};
use dps_lab::wait;
use dps_lab::web::{Answer, WebServer};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _, SqlitePool};

use crate::admin::write_private;
use crate::clocks::Clock;
use crate::world::{Database, Options, TIMEOUT, World, dps, npgsql};

const HOST: &str = "shop.bakery.test";
/// 32 bytes in Base64.
const SECOND_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
/// The gauges follow every fifteen seconds, and an alert some evaluations later.
pub(crate) const ALERTED: Duration = Duration::from_secs(120);
/// The seed's name that breaks a rule of Prometheus, which wants seconds.
const NOT_IN_SECONDS: &str = "certificate_expiry_days";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn shipped() -> PathBuf {
    repository().join("deploy/prometheus")
}

fn rules() -> String {
    fs::read_to_string(shipped().join("rules.yml")).unwrap()
}

/// The shipped rules, whose alerts wait for seconds instead of minutes. Their expressions stay.
fn impatient_rules() -> String {
    let scale = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 4s\n"),
        _ => format!("{line}\n"),
    };
    rules().lines().map(scale).collect()
}

/// The names of the shipped alerts.
fn alerts() -> Vec<String> {
    let name = |line: &str| Some(line.trim().strip_prefix("- alert: ")?.to_owned());
    rules().lines().filter_map(name).collect()
}

/// The metrics that the alerts read.
fn metrics_of_rules() -> BTreeSet<String> {
    let rules = rules();
    let words = rules.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let is_metric = |word: &&str| {
        let prefixes = ["dps_", "haproxy_domain_agent_", "renewal_total"];
        prefixes.iter().any(|prefix| word.starts_with(prefix))
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

async fn metrics_at(world: &World, address: SocketAddr) -> String {
    let url = format!("http://{address}/metrics");
    let (status, text) = world.customer.get(&url).await;
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test]
async fn each_alert_is_tested_and_has_an_entry_in_the_handbook() {
    let folder = shipped();
    promtool(&folder, &["check", "rules", "rules.yml"], None)
        .await
        .unwrap();
    promtool(&folder, &["test", "rules", "tests.yml"], None)
        .await
        .unwrap();
    let tests = fs::read_to_string(folder.join("tests.yml")).unwrap();
    let handbook = fs::read_to_string(repository().join("docs/OPERATIONS.md")).unwrap();
    assert!(alerts().len() >= 20, "{:?}", alerts());
    for alert in alerts() {
        // It is silent, fires, and clears.
        let named = format!("alertname: {alert}\n");
        assert!(tests.matches(&named).count() >= 3, "{alert} in tests.yml");
        let heading = format!("\n#### {alert}\n");
        assert!(handbook.contains(&heading), "{alert} in OPERATIONS.md");
        let entry = format!("docs/OPERATIONS.md#{}", alert.to_lowercase());
        assert!(rules().contains(&entry), "{entry} in rules.yml");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_and_the_agent_expose_keeps_the_rules_and_feeds_every_alert() {
    let limits = json!({ "LetsEncrypt": { "Limits": { "NewAccounts": "9 per 1h" } } });
    let world = World::start(Options::quick().with(&limits)).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let agent = world.agent_listen();
    let wanted = metrics_of_rules();
    let missing = || async {
        let texts = [
            metrics_at(&world, world.surface).await,
            metrics_at(&world, agent).await,
        ];
        let has = |name: &String| {
            let sample = |line: &str| {
                let rest = line.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            };
            texts.iter().any(|text| text.lines().any(sample))
        };
        wanted.iter().find(|name| !has(name)).cloned()
    };
    let all = wait::until("every metric of the rules", ALERTED, || async {
        missing().await.is_none().then_some(())
    });
    if let Err(error) = all.await {
        panic!("{error}: {:?}", missing().await);
    }
    for (what, address) in [("service", world.surface), ("agent", agent)] {
        let text = metrics_at(&world, address).await;
        assert!(
            !text.contains("bakery"),
            "no label shows a hostname: {text}"
        );
        let file = world.home().join(format!("{what}.prom"));
        fs::write(&file, &text).unwrap();
        let checked = promtool(world.home(), &["check", "metrics"], Some(&file)).await;
        match checked {
            Ok(_) => assert_eq!(what, "agent"),
            Err(LabError::Failed { output, .. }) => {
                let complaints: Vec<&str> = output.lines().collect();
                let is_known = |line: &&str| line.starts_with(NOT_IN_SECONDS);
                assert!(complaints.iter().all(is_known), "{what}: {output}");
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// A Prometheus that scrapes the service and the agent.
pub(crate) async fn watch(world: &World) -> Prometheus {
    let home = world.home().join("prometheus");
    let targets = [world.surface, world.agent_listen()];
    Prometheus::start(&home, &targets, &impatient_rules())
        .await
        .unwrap()
}

/// Waits until the gauges that follow with the store are there.
pub(crate) async fn wait_for_gauges(prometheus: &Prometheus) {
    let known = wait::until("the gauges", ALERTED, || async {
        let store = prometheus.query("dps_store_up == 1").await.unwrap();
        let survey = prometheus
            .query("dps_certificates_surveyed_timestamp_seconds > 0")
            .await
            .unwrap();
        let agent = prometheus
            .query("haproxy_domain_agent_in_sync == 1")
            .await
            .unwrap();
        let all = [store, survey, agent];
        all.iter().all(|samples| !samples.is_empty()).then_some(())
    });
    known.await.unwrap();
}

/// The queries of the dashboard that we ship.
fn queries_of_dashboard() -> Vec<String> {
    let file = repository().join("deploy/grafana/dps.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let query = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    targets.map(query).collect()
}

/// Runs every query of the dashboard. Those that show only what is unusual may have no samples.
async fn every_panel_has_data(prometheus: &Prometheus) {
    let queries = queries_of_dashboard();
    assert!(queries.len() > 20, "{queries:?}");
    for metric in ["deliveries_total", "events_waiting", "waiting_seconds"] {
        let name = format!("dps_webhook_{metric}");
        assert!(queries.iter().any(|query| query.contains(&name)), "{name}");
    }
    for query in queries {
        let may_be_empty = query.ends_with("> 0") || query.ends_with("< +Inf");
        let shown = wait::until(&query, ALERTED, || async {
            let samples = prometheus.query(&query).await.unwrap();
            (may_be_empty || !samples.is_empty()).then_some(())
        });
        shown.await.unwrap();
    }
}

/// The alerts that fired at any time.
pub(crate) async fn ever_fired(prometheus: &Prometheus) -> BTreeSet<String> {
    let expression = "count by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[1h]))";
    let name = |sample: &Value| sample["metric"]["alertname"].as_str().map(str::to_owned);
    let samples = prometheus.query(expression).await.unwrap();
    samples.iter().filter_map(name).collect()
}

pub(crate) async fn fires_alone(world: &World, prometheus: &Prometheus, alert: &str) {
    let fires = prometheus.wait_until_firing(&[alert], ALERTED).await;
    fires.unwrap_or_else(|error| panic!("{alert}: {error}\n{}", world.service.log_tail()));
}

pub(crate) async fn clears(world: &World, prometheus: &Prometheus, alert: &str) {
    let clears = prometheus.wait_until_firing(&[], ALERTED).await;
    clears.unwrap_or_else(|error| panic!("after {alert}: {error}\n{}", world.service.log_tail()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_fires_its_alert_and_no_other_and_the_alert_clears() {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let soon = json!({
        "HAProxyAgent": { "UnreachableGrace": "1s" },
        "Workers": { "EdgeReconcile": { "CheckInterval": "500ms" } },
    });
    let options = Options {
        database: Database::Postgres(npgsql(&url)),
        ..Options::quick()
    };
    let mut world = World::start(options.with(&soon)).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let prometheus = watch(&world).await;
    wait_for_gauges(&prometheus).await;
    assert_eq!(prometheus.firing().await, BTreeSet::new());
    let mut expected = BTreeSet::new();

    let alert = "DpsCabinetUnreachable";
    world.cabinet.kill().unwrap();
    fires_alone(&world, &prometheus, alert).await;
    world.restart_cabinet().await;
    clears(&world, &prometheus, alert).await;
    expected.insert(alert.to_owned());

    let alert = "DpsEdgeUnreachable";
    world.agent.kill().unwrap();
    fires_alone(&world, &prometheus, alert).await;
    world.restart_agent().await;
    clears(&world, &prometheus, alert).await;
    expected.insert(alert.to_owned());

    let alert = "HaproxyDiffersFromDisk";
    world.haproxy.kill().unwrap();
    let fires = wait::until(alert, ALERTED, || async {
        prometheus.firing().await.contains(alert).then_some(())
    });
    fires.await.unwrap();
    world.haproxy.restart().await.unwrap();
    clears(&world, &prometheus, alert).await;
    expected.insert(alert.to_owned());

    let alert = "DpsStoreUnavailable";
    postgres.set_read_only(&url, true).await.unwrap();
    fires_alone(&world, &prometheus, alert).await;
    postgres.set_read_only(&url, false).await.unwrap();
    clears(&world, &prometheus, alert).await;
    expected.insert(alert.to_owned());

    let alert = "DpsOldKeyInUse";
    let file = world.home().join("kek");
    let old = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("second:{SECOND_KEY}\n{old}")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    world.service.terminate(TIMEOUT).await.unwrap();
    world.restart_service().await;
    fires_alone(&world, &prometheus, alert).await;
    let rotated = dps(world.home(), &["keys", "rotate"]);
    assert!(rotated.status.success(), "{rotated:?}");
    clears(&world, &prometheus, alert).await;
    expected.insert(alert.to_owned());

    // Last, since Pebble comes back without a memory.
    let alert = "DpsAcmeUnreachable";
    world.pebble.process().kill().unwrap();
    let second = world.add("www.bakery.test").await;
    fires_alone(&world, &prometheus, alert).await;
    world.pebble.restart().await.unwrap();
    let root = world.pebble.root_pem().await.unwrap();
    world.trust(&root);
    world.wait_for_status(&second, "Active").await;
    clears(&world, &prometheus, alert).await;
    expected.insert(alert.to_owned());

    assert_eq!(ever_fired(&prometheus).await, expected);
}

/// Puts more domains into the queue of the orders, each like one that waits there. Their intake
/// would take minutes.
async fn queue_more(world: &World, number: u32) {
    let database = world.home().join("dps.db");
    let url = format!("sqlite://{}", database.display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    let waits = wait::until("a domain that waits", TIMEOUT, || async {
        let sql = "SELECT id FROM custom_domains WHERE lane = 'order_queue' AND lease_token IS NULL LIMIT 1";
        let row: Option<String> = sqlx::query_scalar(sql).fetch_optional(&pool).await.unwrap();
        row
    });
    let waiting = waits.await.unwrap();
    let sql = "SELECT group_concat(name) FROM pragma_table_info('custom_domains') \
               WHERE name NOT IN ('id', 'hostname', 'hostname_reversed')";
    let columns: String = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number}) \
         INSERT INTO custom_domains (id, hostname, hostname_reversed, {columns}) \
         SELECT printf('018bcfe5-6800-7000-8000-%012x', n), printf('queued-%d.bakery.test', n), \
         printf('test.bakery.queued-%d.', n), {columns} FROM numbers, custom_domains WHERE id = '{waiting}'"
    );
    pool.execute(AssertSqlSafe(sql)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_that_moved_away_and_ten_thousand_that_wait_for_their_turn_fire_nothing() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let answer = Answer::Content {
        status: 204,
        body: String::new(),
    };
    let receiver = WebServer::start(any, answer).await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("secret");
    write_private(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let settings = json!({
        // The rate of Let's Encrypt, 300 in three hours, with less at once.
        "LetsEncrypt": { "Limits": { "NewOrders": "8 per 288s", "UnprovenOrders": "none" } },
        "Workers": { "Recheck": { "Observations": 2, "MovedAfter": "1s" } },
        "Webhooks": [{
            "Url": format!("http://{}/hook", receiver.address()), "SecretFile": secret,
            "AllowUnencrypted": true, "AllowPrivateAddresses": true,
        }],
    });
    let world = World::start(Options::quick().with(&settings)).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(world.add(&format!("shop-{number}.bakery.test")).await);
    }
    for id in &ids {
        world.wait_for_status(id, "Active").await;
    }
    // Every fifth of the served ones.
    world.zone.clear("shop-0.bakery.test");
    world.customer.retry(&ids[0]).await;
    world.wait_for_code(&ids[0], "DNS_MOVED").await;
    for number in 0..20 {
        world.add(&format!("new-{number}.bakery.test")).await;
    }
    queue_more(&world, 10_000).await;
    let prometheus = watch(&world).await;
    wait_for_gauges(&prometheus).await;
    let queued = wait::until("a queue", ALERTED, || async {
        let samples = prometheus
            .query("dps_acme_orders_waiting > 9990")
            .await
            .unwrap();
        (!samples.is_empty()).then_some(())
    });
    queued.await.unwrap();
    let served = wait::until("the survey", ALERTED, || async {
        let query = "dps_certificate_remaining_ratio_count > 0";
        (prometheus.query(query).await.unwrap().len() == 1).then_some(())
    });
    served.await.unwrap();
    every_panel_has_data(&prometheus).await;
    assert!(!receiver.received().is_empty());
    // Far longer than an alert waits here.
    let long = "count_over_time((dps_acme_orders_waiting > 9990)[5m:1s]) > 30";
    let lasted = wait::until("the queue for a while", ALERTED, || async {
        (!prometheus.query(long).await.unwrap().is_empty()).then_some(())
    });
    lasted.await.unwrap();
    assert_eq!(ever_fired(&prometheus).await, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_are_used_up_for_weeks_fire_an_alert_each() {
    let limits = json!({ "LetsEncrypt": { "Limits": {
        "NewOrders": "1 per 30d", "UnprovenOrders": "none", "NewAccounts": "1 per 30d",
    } } });
    let world = World::start(Options::quick().with(&limits)).await;
    let first = world.add(HOST).await;
    world.wait_for_status(&first, "Active").await;
    let second = world.add("www.bakery.test").await;
    world.wait_for_code(&second, "ACME_RATE_LIMITED").await;
    let prometheus = watch(&world).await;
    wait_for_gauges(&prometheus).await;
    let alerts = ["DpsAcmeLimitEmpty", "DpsAcmeOrderQueueLong"];
    let fire = prometheus.wait_until_firing(&alerts, ALERTED).await;
    fire.unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    let expected = BTreeSet::from(alerts.map(str::to_owned));
    assert_eq!(ever_fired(&prometheus).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_the_ca_refuses_fires_its_alert_alone_and_it_clears() {
    /// Some for each second that the test may take.
    const REFUSALS: usize = 60;
    let double = AcmeDouble::start().await.unwrap();
    let deactivated = Reply::problem(403, "unauthorized", "the account is deactivated");
    double.inject(Endpoint::NewOrder, REFUSALS, &Fault::Reply(deactivated));
    let settings = json!({ "LetsEncrypt": {
        "DirectoryUrl": double.directory_url(), "CaCertificateFile": null,
    } });
    let world = World::start(Options::quick().with(&settings)).await;
    let prometheus = watch(&world).await;
    world.add(HOST).await;
    let alert = "DpsAcmeAccountRefused";
    fires_alone(&world, &prometheus, alert).await;
    clears(&world, &prometheus, alert).await;
    assert!(double.requests(Endpoint::NewOrder) > REFUSALS);
    assert_eq!(
        ever_fired(&prometheus).await,
        BTreeSet::from([alert.to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_of_the_cas_fires_its_alert_alone_and_it_clears() {
    let mut world = World::start(Options::quick()).await;
    let clock = Clock::right(world.home(), "service");
    // An edge that did not answer at once would have failed for ten minutes by the other clock.
    let answers = wait::until("the edge answers", TIMEOUT, || async {
        let log = world.log();
        let mut events = ["edge.connected", "edge.recovered"].into_iter();
        let answers = events.any(|event| log.values(event, "edge.name").count() > 0);
        answers.then_some(())
    });
    answers.await.unwrap();
    // From its start, since a running process does not accept a jump of its clock.
    clock.set("+10m");
    world.start_service_again_with(&clock.environment()).await;
    let prometheus = watch(&world).await;
    wait_for_gauges(&prometheus).await;
    let first = world.add(HOST).await;
    world.wait_for_status(&first, "Active").await;
    let alert = "DpsClockOff";
    fires_alone(&world, &prometheus, alert).await;
    world.start_service_again_with(&[]).await;
    // Only an answer of the CA shows that it is right again.
    let second = world.add("www.bakery.test").await;
    world.wait_for_status(&second, "Active").await;
    clears(&world, &prometheus, alert).await;
    assert_eq!(
        ever_fired(&prometheus).await,
        BTreeSet::from([alert.to_owned()])
    );
}
