//! Webhooks end to end: events in order, signed, and delivered in spite of receivers and restarts.

use std::net::SocketAddr;
use std::path::Path;

use dps_domain::Timestamp;
use dps_infrastructure::webhook::SigningKey;
use dps_lab::wait;
use dps_lab::web::{Answer, Received, WebServer};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::admin::write_private;
use crate::world::{Database, Options, TIMEOUT, World, dps, npgsql_database};

const HOST: &str = "shop.bakery.test";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENTS: [&str; 4] = [
    "certificate.issued",
    "domain.active",
    "domain.renewed",
    "domain.removed",
];

fn content(status: u16) -> Answer {
    Answer::Content {
        status,
        body: String::new(),
    }
}

async fn receiver(answer: Answer) -> WebServer {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    WebServer::start(any, answer).await.unwrap()
}

fn url(server: &WebServer) -> String {
    format!("http://{}/hook", server.address())
}

fn header(received: &Received, name: &str) -> String {
    let fields = received
        .head
        .lines()
        .filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let value = named.next().unwrap_or_else(|| panic!("no {name}"));
    value.1.trim().to_owned()
}

/// The events that were received, each once, in the order of their first arrival.
fn events(server: &WebServer) -> Vec<(String, String)> {
    let mut events = vec![];
    for received in server.received() {
        let body: Value = serde_json::from_str(&received.body).unwrap();
        assert_eq!(body["data"]["hostname"], HOST);
        let event = (
            header(&received, "webhook-id"),
            body["type"].as_str().unwrap().to_owned(),
        );
        if !events.contains(&event) {
            events.push(event);
        }
    }
    events
}

fn kinds(server: &WebServer) -> Vec<String> {
    events(server).into_iter().map(|(_, kind)| kind).collect()
}

fn check_signatures(server: &WebServer) {
    let key = SigningKey::parse(&SecretString::from(SECRET)).unwrap();
    for received in server.received() {
        let sent_at = header(&received, "webhook-timestamp").parse().unwrap();
        let id = header(&received, "webhook-id");
        let expected = key.sign(&id, Timestamp::from_unix_seconds(sent_at), &received.body);
        assert_eq!(header(&received, "webhook-signature"), expected);
        assert_eq!(header(&received, "content-type"), "application/json");
    }
}

/// The line of `dps webhooks list` about a receiver.
fn listed(home: &Path, server: &WebServer) -> Value {
    let output = dps(home, &["webhooks", "list", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let place = format!("{}/", server.address());
    let is_its = |line: &Value| line["receiver"].as_str().unwrap().starts_with(&place);
    let mut found = lines.filter(is_its);
    found.next().unwrap_or_else(|| panic!("{text}"))
}

/// The counter of deliveries that ended like this.
async fn counted(world: &World, result: &str) -> String {
    let name = format!("dps_webhook_deliveries_total{{result=\"{result}\"}} ");
    let (_, metrics) = world.get("/metrics").await;
    let mut lines = metrics.lines();
    let found = lines.find_map(|line| line.strip_prefix(&name));
    found.unwrap().to_owned()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let holds = wait::until(what, TIMEOUT, || async { condition().then_some(()) });
    holds.await.unwrap();
}

async fn arrive_in_order_whatever_receivers_do(database: Database) {
    let good = receiver(content(500)).await;
    let hanging = receiver(Answer::Unanswered).await;
    let redirecting = receiver(Answer::Redirect {
        status: 307,
        location: "/elsewhere".into(),
    })
    .await;
    let endless = receiver(Answer::Endless).await;
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("secret");
    write_private(&secret, SECRET);
    let all = [&good, &hanging, &redirecting, &endless];
    let webhooks = all.map(|server| {
        json!({
            "Url": url(server), "SecretFile": secret, "Events": EVENTS,
            "AllowUnencrypted": true, "AllowPrivateAddresses": true,
        })
    });
    let options = Options {
        database,
        ..Options::quick()
    };
    let mut world = World::start(options.with(&json!({ "Webhooks": webhooks }))).await;
    let id = world.add(HOST).await;
    let active = world.wait_for_status(&id, "Active").await;

    // The first event is refused, so the second waits for it.
    until("a refused event", || !good.received().is_empty()).await;
    assert_eq!(kinds(&good), ["certificate.issued"]);
    good.set_answer(content(204));
    until("both events", || kinds(&good).len() == 2).await;
    assert_eq!(kinds(&good), EVENTS[..2]);

    // Events that wait for a receiver which is down survive the end of the process.
    good.set_answer(content(503));
    let renewed = dps(world.home(), &["domains", "renew", HOST]);
    assert!(renewed.status.success());
    let end = active["certificateNotAfter"].clone();
    world
        .wait_until(&id, "renewed", |domain| {
            domain["certificateNotAfter"] != end
        })
        .await;
    until("two events wait", || {
        listed(world.home(), &good)["pending"] == 2
    })
    .await;
    for result in ["delivered", "failed"] {
        assert_ne!(counted(&world, result).await, "0", "{result}");
    }
    world.service.kill().unwrap();
    good.set_answer(content(204));
    world.restart_service().await;
    until("the renewal", || kinds(&good).len() == 4).await;
    world.customer.remove(&id).await;
    world.wait_for_status(&id, "Removed").await;
    until("the removal", || kinds(&good).len() == 5).await;
    let expected = [EVENTS[0], EVENTS[1], EVENTS[0], EVENTS[2], EVENTS[3]];
    assert_eq!(kinds(&good), expected);
    check_signatures(&good);

    // The others delayed none of that, and all that they did not take waits for them.
    until("the endless answers", || kinds(&endless).len() == 5).await;
    assert_eq!(kinds(&endless), expected);
    for server in [&hanging, &redirecting] {
        let line = listed(world.home(), server);
        assert_eq!(
            (&line["pending"], &line["lastSuccess"]),
            (&json!(5), &Value::Null)
        );
        assert!(kinds(server).iter().all(|kind| kind == EVENTS[0]));
    }
    let paths = redirecting.received();
    assert!(paths.iter().all(|received| received.path == "/hook"));
    let line = listed(world.home(), &good);
    assert_eq!((&line["pending"], &line["failed"]), (&json!(0), &json!(0)));
    redelivers(&world, &good).await;
}

/// One event is sent again on request, and nothing else.
async fn redelivers(world: &World, good: &WebServer) {
    let before = good.received().len();
    let wanted = events(good)[1].0.clone();
    let name = listed(world.home(), good)["receiver"].clone();
    let arguments = [
        "webhooks",
        "redeliver",
        &wanted,
        "--receiver",
        name.as_str().unwrap(),
        "--reason",
        "lost",
    ];
    let output = dps(world.home(), &arguments);
    assert!(output.status.success(), "{output:?}");
    until("the event again", || good.received().len() == before + 1).await;
    let received = good.received();
    assert_eq!(header(received.last().unwrap(), "webhook-id"), wanted);
    let activity = dps(world.home(), &["activity", "--json"]).stdout;
    let activity = String::from_utf8(activity).unwrap();
    let newest: Value = serde_json::from_str(activity.lines().next().unwrap()).unwrap();
    assert_eq!(newest["action"], "webhooks.redeliver");
    assert_eq!(newest["reason"], "lost");
    assert_eq!(newest["count"], 1);
    for arguments in [["redeliver", "msg_unknown"], ["redeliver", "--since"]] {
        let arguments = ["webhooks"].into_iter().chain(arguments);
        assert!(
            !dps(world.home(), &arguments.collect::<Vec<_>>())
                .status
                .success()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_in_order_whatever_receivers_do_on_sqlite() {
    arrive_in_order_whatever_receivers_do(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_in_order_whatever_receivers_do_on_postgres() {
    let database = Database::Postgres(npgsql_database().await);
    arrive_in_order_whatever_receivers_do(database).await;
}
