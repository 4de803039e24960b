//! The pauses of issuance, by the command line and the admin API.

use reqwest::StatusCode;
use serde_json::json;

use crate::admin::{OPERATOR, VIEWER, world};
use crate::world::{Options, dps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuance_is_paused_and_resumed_by_command_and_call() {
    let (world, api) = world(Options::quick()).await;
    let pause = ["issuance", "pause", "--all", "--reason", "the CA errs"];
    assert!(dps(world.home(), &pause).status.success());
    let id = world.add("shop.bakery.test").await;
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
    let (_, page) = api.get("/admin/v1/activity", VIEWER).await;
    let kinds: Vec<&str> = (page["items"].as_array().unwrap().iter())
        .map(|item| item["action"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["issuance.resume", "issuance.pause"]);
}
