//! Starting, restarting and refusing to start.

use dps_cabinet::{CabinetError, Settings};
use dps_cabinet_api::ProblemCode;
use dps_lab::postgres::Postgres;
use reqwest::Method;
use std::time::Duration;

use crate::world::{
    API_TOKEN, Database, SERVICE_TOKEN, World, answer, hosts, on_both_databases, refusal,
};

on_both_databases! {
    async fn a_restarted_cabinet_remembers_everything(database: Database) {
        let mut world = World::on(&database).await;
        let id = world.created("a.example.com").await;
        let after = world.read("/changes").await["nextCursor"].as_str().unwrap().to_owned();
        world.shutdown.cancel();
        (&mut world.task).await.unwrap();
        let world = World::on(&database).await;
        world.created("b.example.com").await;
        assert_eq!(hosts(&world.read(&format!("/changes?after={after}")).await), ["b.example.com"]);
        let domain = world.platform(Method::GET, &format!("/{id}")).send().await.unwrap();
        assert_eq!(answer(domain, 200).await["canonicalHost"], "a.example.com");
    }
}

#[tokio::test]
async fn an_outage_of_the_database_is_reported_as_one_and_passes() {
    let mut cluster = Postgres::start()
        .await
        .expect("PostgreSQL must be installed for this test");
    let database = Database::at(cluster.create_database().await.unwrap());
    let world = World::on(&database).await;
    world.created("a.example.com").await;
    // PostgreSQL's fast shutdown: connections are cut, nothing that was committed is lost.
    cluster.server().signal("INT").unwrap();
    cluster
        .server()
        .wait_for_exit(Duration::from_secs(30))
        .await
        .unwrap();
    let response = world.create("b.example.com").await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(
        refusal(response, 503).await.code(),
        Some(ProblemCode::Timeout)
    );
    let health = world.bare(Method::GET, "/health").send().await.unwrap();
    assert_eq!(
        refusal(health, 503).await.code(),
        Some(ProblemCode::Timeout)
    );
    cluster.restart().await.unwrap();
    dps_lab::wait::until("a creation succeeds", Duration::from_secs(30), async || {
        (world.create("b.example.com").await.status() == 201).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        hosts(&world.read("").await),
        ["a.example.com", "b.example.com"]
    );
}

fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        service_token: Some(SERVICE_TOKEN.into()),
        api_token: Some(API_TOKEN.into()),
        connection_string: "sqlite::memory:".into(),
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_start_fails_with_the_reason_and_without_the_password() {
    let mut tokenless = settings();
    tokenless.service_token = None;
    assert!(matches!(
        dps_cabinet::bind(tokenless).await,
        Err(CabinetError::Settings(_))
    ));
    for connection_string in [
        "mysql://u:hunter2@db/x",
        "postgres://u:hunter2@127.0.0.1:1/x",
        "postgres://u:hunter2@:x:/",
    ] {
        let mut unusable = settings();
        unusable.connection_string = connection_string.into();
        let error = dps_cabinet::bind(unusable).await.unwrap_err();
        assert!(
            matches!(error, CabinetError::Store(_) | CabinetError::Settings(_)),
            "{connection_string}"
        );
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{connection_string}"
        );
    }
    let mut unreachable = settings();
    unreachable.connection_string = "postgres://u:hunter2@127.0.0.1:1/x".into();
    let error = dps_cabinet::bind(unreachable).await.unwrap_err();
    assert_eq!(
        dps_domain::with_causes(&error),
        "the database of the Cabinet cannot be used: the database at 127.0.0.1:1 does not answer: \
         connection refused; start it, or correct the host and port in the connection string"
    );
    let first = dps_cabinet::bind(settings()).await.unwrap();
    let mut taken = settings();
    taken.listen = first.local_addr();
    assert!(matches!(
        dps_cabinet::bind(taken).await,
        Err(CabinetError::Listen { .. })
    ));
}

#[tokio::test]
async fn identifiers_of_the_system_ports_are_uuids_of_version_7_and_sort_by_time() {
    let targets = vec!["e.example".to_owned()];
    let bound = dps_cabinet::bind(Settings {
        allowed_targets: targets,
        ..settings()
    })
    .await
    .unwrap();
    let base = format!("http://{}/api/v1/custom-domains", bound.local_addr());
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(bound.run(stop.clone()));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = serde_json::json!({"hostname": "a.example.com", "tenantId": "t", "cnameTarget": "e.example"});
    let response = client
        .post(base)
        .bearer_auth(API_TOKEN)
        .json(&body)
        .send()
        .await
        .unwrap();
    let domain = answer(response, 201).await;
    assert_eq!(domain["id"].as_str().unwrap().as_bytes()[14], b'7');
    stop.cancel();
    running.await.unwrap().unwrap();
}
