//! Actions on many domains, by the command line and the admin API.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::admin::{Api, OPERATOR, VIEWER, world};
use crate::world::{Database, Options, World, dps, npgsql_database};

fn lines(stdout: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn acts_on_many(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let (mut world, api) = world(options).await;
    for name in ["a", "b", "c"] {
        let id = world.customer.add(&format!("{name}.nowhere.test")).await;
        world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    }
    by_command(&world, &api).await;
    by_api(&world, &api).await;
    after_a_crash(&mut world, &api).await;
}

async fn by_command(world: &World, api: &Api) {
    let choose = [
        "domains",
        "retry",
        "--suffix",
        "nowhere.test",
        "--reason",
        "DNS is back",
    ];
    let shown = dps(world.home(), &choose);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{text}");
    assert!(
        text.contains("retry of 3 domains (suffix=nowhere.test)"),
        "{text}"
    );
    assert!(text.contains("\nBy status: PendingDns 3\n"), "{text}");
    assert!(text.contains("\n  b.nowhere.test\n"), "{text}");
    for (line, words) in [
        (
            ["pause", "a.nowhere.test", "--tenant", "t"],
            "of every claim of a hostname",
        ),
        (
            ["retry", "a.nowhere.test", "--code", "DNS_NXDOMAIN"],
            "leave out the options that are for many",
        ),
        (
            ["retry", "a.nowhere.test", "--tenant", "nobody"],
            "with this id or tenant",
        ),
    ] {
        let refused = dps(world.home(), &[&["domains"][..], &line].concat());
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && text.contains(words), "{text}");
    }
    let (_, jobs) = api.get("/admin/v1/jobs", VIEWER).await;
    assert_eq!(jobs["items"], json!([]), "a preview acts on nothing");

    let done = dps(world.home(), &[&choose[..], &["--yes", "--json"]].concat());
    let lines = lines(&done.stdout);
    assert!(done.status.success(), "{lines:#?}");
    assert_eq!(lines[0]["domains"], 3);
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["state"], &last["acted"]),
        (&json!("done"), &json!(3)),
        "{last:#}"
    );
    let shown = dps(
        world.home(),
        &["domains", "show", "c.nowhere.test", "--json"],
    );
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let events = shown["events"].as_array().unwrap();
    let retried = events
        .iter()
        .find(|event| event["kind"] == "retry.by_operator");
    assert_eq!(retried.unwrap()["detail"]["reason"], "DNS is back");
}

/// The API counts first, and acts on no more than was confirmed.
async fn by_api(world: &World, api: &Api) {
    let mut wanted = json!({ "action": "pause", "filter": { "tenant": "nobody" } });
    let path = "/admin/v1/jobs/preview";
    let (_, preview) = api.post(path, OPERATOR, wanted.clone()).await;
    assert_eq!(preview["domains"], 0, "{preview}");
    wanted["filter"] = json!({ "code": "DNS_NXDOMAIN" });
    assert_eq!(
        api.post(path, VIEWER, wanted.clone()).await.0,
        StatusCode::FORBIDDEN
    );
    let (_, preview) = api.post(path, OPERATOR, wanted.clone()).await;
    assert_eq!(preview["domains"], 3, "{preview}");
    let path_of_jobs = "/admin/v1/jobs";
    let path = path_of_jobs;
    let (status, problem) = api.post(path, OPERATOR, wanted.clone()).await;
    assert_eq!(
        (status.as_u16(), &problem["field"]),
        (400, &json!("confirm"))
    );
    wanted["confirm"] = json!(2);
    assert_eq!(
        api.post(path, OPERATOR, wanted.clone()).await.0,
        StatusCode::CONFLICT
    );
    wanted["confirm"] = preview["domains"].clone();
    let (status, job) = api.post(path, OPERATOR, wanted).await;
    assert_eq!(status, StatusCode::OK, "{job}");
    let id = job["id"].as_str().unwrap();
    let followed = dps(world.home(), &["jobs", "show", id, "--follow"]);
    let text = String::from_utf8(followed.stdout).unwrap();
    assert!(text.contains("pause done: 3 of 3 done"), "{text}");
    let (_, issuance) = api.get("/admin/v1/issuance", VIEWER).await;
    assert_eq!(
        issuance["pauses"].as_array().unwrap().len(),
        3,
        "{issuance}"
    );
    let path = format!("/admin/v1/jobs/{id}/cancel");
    assert_eq!(
        api.post(&path, OPERATOR, json!({})).await.0,
        StatusCode::CONFLICT
    );
    let (_, page) = api.get("/admin/v1/jobs?limit=1", VIEWER).await;
    assert_eq!(page["items"][0]["id"], id, "{page}");
    assert!(page["next"].is_string());
    let (_, activity) = api.get("/admin/v1/activity?limit=100", VIEWER).await;
    let begun = activity["items"].as_array().unwrap().iter();
    let begun = begun.filter(|action| action["action"] == "job.begin");
    assert_eq!(begun.count(), 2, "{activity:#}");
}

/// A job goes on after a crash of the service.
async fn after_a_crash(world: &mut World, api: &Api) {
    let path_of_jobs = "/admin/v1/jobs";
    // A domain that was retried a moment ago is refused.
    for name in ["a", "b", "c"] {
        let host = format!("{name}.later.nowhere.test");
        let id = world.customer.add(&host).await;
        world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    }
    let mut wanted = json!({ "action": "retry", "filter": { "suffix": "later.nowhere.test" },
        "pacePerHour": 720, "confirm": 3 });
    let (_, job) = api.post(path_of_jobs, OPERATOR, wanted.clone()).await;
    let id = job["id"].as_str().unwrap().to_owned();
    world.service.kill().unwrap();
    world.restart_service().await;
    let followed = dps(world.home(), &["jobs", "show", &id, "--follow"]);
    let text = String::from_utf8(followed.stdout).unwrap();
    assert!(text.contains("retry done: 3 of 3 done"), "{text}");

    // A job that is cancelled stops.
    wanted["pacePerHour"] = json!(1);
    let (_, job) = api.post(path_of_jobs, OPERATOR, wanted).await;
    let id = job["id"].as_str().unwrap();
    let cancel = ["jobs", "cancel", id, "--reason", "not now"];
    let cancelled = dps(world.home(), &cancel);
    let text = String::from_utf8(cancelled.stdout).unwrap();
    assert!(text.contains("retry cancelled:"), "{text}");
    let (_, job) = api.get(&format!("/admin/v1/jobs/{id}"), VIEWER).await;
    assert_eq!(
        (&job["state"], &job["dueAt"]),
        (&json!("cancelled"), &Value::Null)
    );
    let (status, _) = api
        .get(
            "/admin/v1/jobs/00000000-0000-0000-0000-000000000000",
            VIEWER,
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_domains_are_acted_on_after_a_preview_on_sqlite() {
    acts_on_many(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_domains_are_acted_on_after_a_preview_on_postgresql() {
    acts_on_many(Database::Postgres(npgsql_database().await)).await;
}
