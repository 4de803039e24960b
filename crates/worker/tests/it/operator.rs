//! The operator's interfaces: the command line, health, metrics.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use dps_lab::{postgres, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{Database, Options, TIMEOUT, World, dps, npgsql_database};

const HOST: &str = "shop.bakery.test";
/// 32 bytes in Base64.
const SECOND_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

/// Runs `dps` in the world's directory, which must succeed; answers what it printed.
fn said(world: &World, arguments: &[&str]) -> String {
    let output = dps(world.home(), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn both(output: &Output) -> String {
    let texts =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    texts.concat()
}

/// The live domain, with what is planned for it. Pebble suggests no window.
fn shown_as_json(world: &World) -> Value {
    let shown: Value =
        serde_json::from_str(&said(world, &["domains", "show", HOST, "--json"])).unwrap();
    let renewal = &shown["renewal"];
    assert_eq!(
        renewal["renewAt"].is_string(),
        shown["phase"] == "live",
        "{shown}"
    );
    for moment in ["notAfter", "askAt"] {
        assert!(renewal[moment].is_string(), "{moment}: {shown}");
    }
    assert!(renewal["window"].is_null(), "{shown}");
    shown
}

/// Renews the live domain, until its new certificate is served and the record says so.
async fn renew(world: &World) {
    let before = world.visit(HOST).await;
    said(world, &["domains", "renew", HOST]);
    let renewed = wait::until("another certificate", TIMEOUT, || async {
        let now = world.visit(HOST).await;
        let phase = &shown_as_json(world)["phase"];
        (now != before && phase == "live").then_some(())
    });
    renewed.await.unwrap();
}

/// The two domains of the story, found by what they are.
fn the_fleet_can_be_asked(world: &World) {
    let listed = |options: &[&str]| {
        let command = [&["domains", "list", "--json"], options].concat();
        let said = said(world, &command);
        let names = said.lines().map(|line| {
            let domain: Value = serde_json::from_str(line).unwrap();
            assert!(domain["statusSince"].is_string(), "{domain}");
            domain["hostname"].as_str().unwrap().to_owned()
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--status", "active"]), [HOST]);
    assert_eq!(listed(&["--code", "DNS_NXDOMAIN"]), ["www.nowhere.test"]);
    assert_eq!(
        listed(&["--actor", "customer", "--suffix", "nowhere.test"]).len(),
        1
    );
    assert_eq!(
        listed(&["--name", HOST, "--expires-within", "36500d"]),
        [HOST]
    );
    assert!(listed(&["--prefix", "www.", "--tenant", "nobody"]).is_empty());
    let counted = |options: &[&str]| -> Value {
        let command = [&["domains", "count", "--json"], options].concat();
        serde_json::from_str(&said(world, &command)).unwrap()
    };
    assert_eq!(counted(&[])["domains"], 2);
    let by_status = counted(&["--by", "status"]);
    assert_eq!(
        by_status["groups"].as_array().unwrap().len(),
        2,
        "{by_status}"
    );
    assert_eq!(
        counted(&["--by", "tenant", "--status", "Active"])["domains"],
        1
    );
    let table = said(world, &["domains", "count", "--by", "code"]);
    assert!(
        table.contains("DNS_NXDOMAIN") && table.contains("(no failure)"),
        "{table}"
    );
    let fleet: Value = serde_json::from_str(&said(world, &["fleet", "--json"])).unwrap();
    assert_eq!(fleet["domains"], 2, "{fleet}");
    assert_eq!(fleet["causes"][0]["code"], "DNS_NXDOMAIN", "{fleet}");
    let text = said(world, &["fleet"]);
    assert!(text.contains("2 domains"), "{text}");
    let place = said(world, &["domains", "list", "--limit", "1"]);
    let place = place
        .lines()
        .find_map(|line| line.split_once("--after "))
        .unwrap()
        .1;
    let rest = said(world, &["domains", "list", "--after", place]);
    assert!(
        !rest.contains(HOST) && rest.contains("www.nowhere.test"),
        "{rest}"
    );
    for (options, remedy) in [
        (
            ["--status", "Active", "--after", place],
            "leave the place out",
        ),
        (
            ["--edge", "https://nowhere:1", "--limit", "5"],
            "`dps edges` lists the edges",
        ),
    ] {
        let output = dps(world.home(), &[&["domains", "list"][..], &options].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(remedy), "{error}");
    }
    let output = dps(world.home(), &["domains", "count", "--code", "DNS_NXDOMAN"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("did you mean DNS_NXDOMAIN?"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one story of an operator")]
async fn the_command_line_lists_shows_nudges_and_renews_what_the_service_works_on() {
    let world = World::start(Options::default()).await;
    let live = world.add(HOST).await;
    let waiting = world.customer.add("www.nowhere.test").await;
    world.wait_for_status(&live, "Active").await;
    world.wait_for_code(&waiting, "DNS_NXDOMAIN").await;

    let table = said(&world, &["domains", "list"]);
    let row = |host: &str| {
        table
            .lines()
            .find(|line| line.contains(host))
            .unwrap_or_else(|| panic!("{table}"))
    };
    assert!(row(HOST).contains("Active"), "{table}");
    assert!(row("www.nowhere.test").contains("DNS_NXDOMAIN"), "{table}");
    let listed = said(&world, &["domains", "list", "bakery", "--json"]);
    let listed: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["hostname"], &listed[0]["id"]),
        (&HOST.into(), &live.as_str().into())
    );
    the_fleet_can_be_asked(&world);
    let shown = shown_as_json(&world);
    let events: Vec<&str> = shown["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    let story = [
        "domain.taken_in",
        "dns.ready",
        "http.ready",
        "order.placed",
        "order.ready",
        "certificate.stored",
        "deployed",
    ];
    assert_eq!(events, story);
    let replica = shown["events"][0]["replica"].as_str().unwrap();
    assert!(!replica.is_empty());
    let lines = shown["events"].as_array().unwrap().iter();
    assert!(
        lines.clone().all(|line| line["replica"] == replica),
        "{shown}"
    );
    assert!(
        lines.skip(1).all(|line| line["durationMs"].is_number()),
        "{shown}"
    );
    let output = said(&world, &["domains", "show", HOST]);
    for part in [
        "renews at",
        "dns.ready",
        "orderUrl: https://",
        "probes:",
        replica,
        " ms  ",
    ] {
        assert!(output.contains(part), "{part:?} is not in {output}");
    }
    let short = said(&world, &["domains", "show", HOST, "--events", "1"]);
    assert!(
        short.contains("deployed") && !short.contains("dns.ready"),
        "{short}"
    );
    let output = said(&world, &["domains", "show", "WWW.nowhere.test."]);
    for part in [
        "PendingDns",
        "DNS_NXDOMAIN",
        "www CNAME customers.platform.test.",
    ] {
        assert!(output.contains(part), "{part:?} is not in {output}");
    }

    // The next check by itself is half a minute away, so this one was asked for.
    world.point_at_us("www.nowhere.test");
    let queries = world.zone.queries("www.nowhere.test");
    said(&world, &["domains", "retry", "www.nowhere.test"]);
    world.wait_for_status(&waiting, "Active").await;
    assert!(world.zone.queries("www.nowhere.test") > queries);
    assert_eq!(world.log().count("www.nowhere.test", "dns_nxdomain"), 1);

    renew(&world).await;
    for (arguments, reason) in [
        (
            ["domains", "show", "unknown.test"],
            "does not know the domain unknown.test",
        ),
        (
            ["domains", "renew", "not a name"],
            "\"not a name\" is not a hostname",
        ),
    ] {
        let output = dps(world.home(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", both(&output));
        assert!(both(&output).contains(reason), "{}", both(&output));
    }
    let output = said(&world, &["domains", "retry", HOST]);
    assert!(output.contains("the next step is due now"), "{output}");
    for _ in 0..2 {
        assert!(said(&world, &["migrate"]).contains("schema"));
    }
}

/// A name that cannot have a CNAME needs the edges' addresses: from the settings, or as a query of
/// DNS found them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_gives_the_sentence_that_the_customer_reads() {
    const APEX: &str = "bakery.test";
    let network =
        json!({ "Workers": { "DomainVerification": { "EdgeAddresses": ["127.0.0.0/24"] } } });
    for settings in [json!({}), network] {
        let world = World::start(Options::quick().with(&settings)).await;
        world.zone.set_a(APEX, &["203.0.113.9".parse().unwrap()]);
        let id = world.customer.add(APEX).await;
        let domain = world
            .wait_until(&id, "a sentence", |domain| {
                domain["lastErrorMessage"].is_string()
            })
            .await;
        let sentence = domain["lastErrorMessage"].as_str().unwrap();
        assert!(sentence.contains("127.0.0.1"), "{domain}");
        let shown: Value =
            serde_json::from_str(&said(&world, &["domains", "show", APEX, "--json"])).unwrap();
        assert_eq!(shown["message"], sentence, "{shown}");
        assert_eq!(shown["actor"], "customer", "{shown}");
        let listed: Value =
            serde_json::from_str(&said(&world, &["domains", "list", "--json"])).unwrap();
        assert_eq!(listed["message"], sentence, "{listed}");
        let text = said(&world, &["domains", "show", APEX]);
        assert!(text.contains(sentence), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metrics_show_what_happened_under_the_agreed_names() {
    let mut world = World::start(Options::default()).await;
    assert_eq!(world.get("/health/live").await.0, 200);
    let ready = wait::until("the service is ready", TIMEOUT, || async {
        let report: Value = serde_json::from_str(&world.get("/health/ready").await.1).ok()?;
        (report["status"] == "ready").then_some(())
    });
    ready.await.unwrap();
    assert_eq!(metric(&world, "certificate_expiry_days").await, "NaN");
    assert_eq!(
        metric(&world, "acme_issuance_total{result=\"success\"}").await,
        "0"
    );

    let waiting = world.customer.add("www.nowhere.test").await;
    world.wait_for_code(&waiting, "DNS_NXDOMAIN").await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    for (name, value) in [
        ("domain_verification_total{result=\"success\"}", "1"),
        ("domain_verification_total{result=\"failed\"}", "1"),
        ("acme_issuance_total{result=\"success\"}", "1"),
        ("acme_issuance_total{result=\"failed\"}", "0"),
        ("renewal_total{result=\"success\"}", "0"),
        ("renewal_total{result=\"failed\"}", "0"),
    ] {
        assert_eq!(metric(&world, name).await, value, "{name}");
    }
    // The metrics of a Cabinet or a resolver that is out of order.
    let resolver = |number: usize| format!("{{resolver=\"{}\"}}", world.resolvers()[number]);
    for (name, value) in [
        ("dps_cabinet_up".to_owned(), "1.0"),
        ("dps_cabinet_outbox_reports".to_owned(), "0"),
        ("dps_cabinet_outbox_waiting_seconds".to_owned(), "0.0"),
        ("dps_cabinet_items_unusable".to_owned(), "0"),
        ("dps_removals_held".to_owned(), "0"),
        (
            "dps_cabinet_events_total{event=\"item_refused\"}".to_owned(),
            "0",
        ),
        (
            "dps_cabinet_events_total{event=\"name_refused\"}".to_owned(),
            "0",
        ),
        (
            "dps_cabinet_events_total{event=\"report_refused\"}".to_owned(),
            "0",
        ),
        (
            "dps_cabinet_events_total{event=\"version_conflict\"}".to_owned(),
            "0",
        ),
        (format!("dps_dns_resolver_up{}", resolver(0)), "1"),
        (
            format!("dps_dns_resolver_failures_total{}", resolver(0)),
            "0",
        ),
        (
            format!("dps_dns_resolver_failures_total{}", resolver(1)),
            "0",
        ),
        ("dps_local_faults_total{party=\"cabinet\"}".to_owned(), "0"),
    ] {
        let what = format!("{name} is {value}");
        let shown = wait::until(&what, TIMEOUT, || async {
            (metric(&world, &name).await == value).then_some(())
        });
        shown.await.unwrap();
    }
    let last_intake = metric(&world, "dps_cabinet_last_intake_timestamp_seconds").await;
    assert!(
        last_intake.parse::<f64>().unwrap() > 1_600_000_000.0,
        "{last_intake}"
    );
    assert!(
        !world.get("/metrics").await.1.contains("bakery"),
        "no label shows a hostname"
    );
    // Pebble's certificates last five years unless configured otherwise.
    let days = wait::until("the gauge follows", TIMEOUT, || async {
        metric(&world, "certificate_expiry_days")
            .await
            .parse::<f64>()
            .ok()
            .filter(|days| !days.is_nan())
    });
    let days = days.await.unwrap();
    assert!((1824.0..1827.0).contains(&days), "{days}");

    // The Cabinet is shown and not required: renewals go on without it.
    world.cabinet.kill().unwrap();
    let report = wait::until(
        "the Cabinet is reported as unreachable",
        TIMEOUT,
        || async {
            let (status, body) = world.get("/health").await;
            assert_eq!(status, 200, "{body}");
            let report: Value = serde_json::from_str(&body).unwrap();
            (report["checks"][1]["status"] == "failing").then_some(report)
        },
    );
    assert_eq!(report.await.unwrap()["checks"][1]["name"], "cabinet");
    let away = wait::until("the metric says it too", TIMEOUT, || async {
        (metric(&world, "dps_cabinet_up").await == "0.0").then_some(())
    });
    away.await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_of_the_database_is_reported_at_the_start_and_not_shown() {
    let server = postgres::shared().await.unwrap();
    let url = server
        .create_guarded_database("guarded", "right horse")
        .await
        .unwrap();
    let home = TempDir::new().unwrap();
    let keys = home.path().join("kek");
    fs::write(&keys, "one:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n").unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    let connection = url.replace("guarded@", "guarded:hunter2@");
    for command in [&["migrate"][..], &["domains", "list"], &["run"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_dps"))
            .args(command)
            .current_dir(home.path())
            .env("CertificateStore__ConnectionString", &connection)
            .env("CertificateStore__EncryptionKeyFile", &keys)
            .env("CabinetApi__BaseUrl", "http://127.0.0.1:1")
            .env("CabinetApi__Token", "token-of-the-tests")
            .env("HAProxyAgent__BaseUrl", "http://127.0.0.1:1")
            .env("HAProxyAgent__Token", "token-of-the-tests")
            .env("LetsEncrypt__TermsOfServiceAgreed", "true")
            .env("Cabinet__CnameTarget", "edge.platform.example")
            .env("Http__Listen", "127.0.0.1:0")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let said = said.concat();
        for part in [
            "refuses the connection: password authentication failed for user",
            "correct the user and the password in the connection string",
            "guarded:***@",
        ] {
            assert!(said.contains(part), "{command:?}, {part}: {said}");
        }
        assert!(!said.contains("hunter2"), "{command:?}: {said}");
    }
}

/// The value of a metric.
async fn metric(world: &World, name: &str) -> String {
    let (status, text) = world.get("/metrics").await;
    assert_eq!(status, 200);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}"))
        .to_owned()
}

/// The order that works: every process knows the new key before anything is sealed with it, and the
/// old one until nothing is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_encryption_key_can_be_changed_without_losing_a_certificate() {
    let mut world = World::start(Options {
        database: Database::Postgres(npgsql_database().await),
        ..Options::quick()
    })
    .await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let before = world.visit(HOST).await;
    let file = world.home().join("kek");
    let old = fs::read_to_string(&file).unwrap();
    assert_eq!(said(&world, &["keys", "list"]), "first  (current)\n");

    // A service that runs has the keys that it started with, so it is started anew before the
    // rotation.
    write_keys(&file, &format!("second:{SECOND_KEY}\n{old}"));
    assert_eq!(
        said(&world, &["keys", "list"]),
        "second  (current)\nfirst\n"
    );
    assert_eq!(
        world.service.terminate(TIMEOUT).await.unwrap().code(),
        Some(0)
    );
    world.restart_service().await;
    // The account's key and the certificate's: that of the order is erased with it.
    assert_eq!(
        said(&world, &["keys", "rotate"]),
        "2 private keys were encrypted again; 0 already used the current key.\n"
    );
    assert_eq!(
        said(&world, &["keys", "rotate"]),
        "0 private keys were encrypted again; 2 already used the current key.\n"
    );

    // Nothing needs the old key any more.
    write_keys(&file, &format!("second:{SECOND_KEY}\n"));
    assert_eq!(
        world.service.terminate(TIMEOUT).await.unwrap().code(),
        Some(0)
    );
    world.restart_service().await;
    said(&world, &["domains", "renew", HOST]);
    let renewed = wait::until("another certificate", TIMEOUT, || async {
        let now = world.visit(HOST).await;
        (now != before).then_some(())
    });
    renewed
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
}

/// The wrong order: a service that runs does not know the key that everything is sealed with now.
/// It says so, blames no other party, and continues once it is started anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_the_running_service_knows_nothing_of_costs_only_time() {
    let mut world = World::start(Options {
        database: Database::Postgres(npgsql_database().await),
        ..Options::quick()
    })
    .await;
    let first = world.add("before.bakery.test").await;
    world.wait_for_status(&first, "Active").await;
    let file = world.home().join("kek");
    let old = fs::read_to_string(&file).unwrap();
    write_keys(&file, &format!("second:{SECOND_KEY}\n{old}"));
    said(&world, &["keys", "rotate"]);
    let id = world.add(HOST).await;
    let domain = world.wait_for_code(&id, "INTERNAL").await;
    assert_eq!(domain["status"], "Issuing", "{domain}");
    assert!(
        world
            .service
            .log_text()
            .contains("key-encryption key second, which is not configured")
    );
    assert_eq!(
        world.service.terminate(TIMEOUT).await.unwrap().code(),
        Some(0)
    );
    world.restart_service().await;
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
}

fn write_keys(file: &Path, keys: &str) {
    fs::write(file, keys).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
