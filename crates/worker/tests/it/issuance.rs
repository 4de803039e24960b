//! The pauses of issuance, by the command line and the admin API.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::admin::{OPERATOR, VIEWER, world};
use crate::world::{Options, dps};

const HOST: &str = "shop.bakery.test";

/// The row of a diagnosis about pauses.
fn pause_row(diagnosis: &str) -> Value {
    let diagnosis: Value = serde_json::from_str(diagnosis).unwrap();
    let rows = diagnosis["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == "pause");
    row.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuance_is_paused_and_resumed_by_command_and_call() {
    let (world, api) = world(Options::quick()).await;
    let pause = ["issuance", "pause", "--all", "--reason", "the CA errs"];
    assert!(dps(world.home(), &pause).status.success());
    let id = world.add(HOST).await;
    let paused = world.wait_for_code(&id, "ISSUANCE_PAUSED").await;
    assert_eq!(paused["status"], "Issuing", "{paused}");
    let (_, issuance) = api.get("/admin/v1/issuance", VIEWER).await;
    assert_eq!(issuance["pauses"][0]["reason"], "the CA errs", "{issuance}");
    assert_eq!(issuance["first"], 1, "{issuance}");
    let shown = dps(world.home(), &["issuance", "status"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        text.contains("1 first orders and 0 renewals wait"),
        "{text}"
    );
    let shown = |args: &[&str]| {
        let output = dps(world.home(), args);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let explained = shown(&["explain", HOST]);
    for text in [
        "Issuance for every domain has been paused since",
        ": the CA errs)",
        "Who must act\n  operator",
        "unless issuance is still paused",
    ] {
        assert!(explained.contains(text), "{text}: {explained}");
    }
    let row = pause_row(&shown(&["diagnose", HOST, "--json"]));
    assert_eq!(row["code"], "ISSUANCE_PAUSED", "{row}");
    assert_eq!(row["details"]["pauses"][0]["reason"], "the CA errs");
    let fleet = shown(&["fleet"]);
    assert!(
        fleet.contains("the CA errs): dps issuance status"),
        "{fleet}"
    );
    let nobody = json!({ "scope": "tenant", "subject": "nobody" });
    for path in ["/admin/v1/issuance/pause", "/admin/v1/issuance/resume"] {
        assert_eq!(
            api.post(path, VIEWER, nobody.clone()).await.0,
            StatusCode::FORBIDDEN
        );
        let status = api.post(path, OPERATOR, nobody.clone()).await.0;
        assert!(matches!(status.as_u16(), 404 | 409), "{path} {status}");
        let (status, problem) = api.post(path, OPERATOR, json!({ "scope": "tenant" })).await;
        assert_eq!(
            (status.as_u16(), &problem["field"]),
            (400, &json!("subject"))
        );
    }
    let resume = json!({ "scope": "all", "reason": "it is mended" });
    let (status, resumed) = api
        .post("/admin/v1/issuance/resume", OPERATOR, resume)
        .await;
    assert_eq!((status, &resumed["woken"]), (StatusCode::OK, &json!(1)));
    world.wait_for_status(&id, "Active").await;
    let row = pause_row(&shown(&["diagnose", HOST, "--json"]));
    assert_eq!(row["status"], "ok", "{row}");
    assert!(!shown(&["explain", HOST]).contains("paused"));
    let (_, page) = api.get("/admin/v1/activity", VIEWER).await;
    let kinds: Vec<&str> = (page["items"].as_array().unwrap().iter())
        .map(|item| item["action"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["issuance.resume", "issuance.pause"]);
}
