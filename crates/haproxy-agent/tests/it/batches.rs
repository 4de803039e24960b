//! Many certificates at once: what goes wrong with one is no other's business.

use dps_agent_api::{
    AgentError, ApplyOutcome, ApplyRequest, InventoryDigest, MAX_BATCH_CERTIFICATES, ProblemCode,
};
use dps_host::HumanDuration;
use haproxy_domain_agent::runtime_api::{Payload, StoreName};

use crate::authority::Issued;
use crate::world::{TOKEN, World, eventually};

pub(crate) fn issue_many(world: &World, count: usize) -> Vec<Issued> {
    (0..count)
        .map(|n| world.authority.issue(&format!("host{n}.example.com")))
        .collect()
}

pub(crate) fn requests(issued: &[Issued], generation: u64) -> Vec<ApplyRequest> {
    issued.iter().map(|one| one.request(generation)).collect()
}

/// A metric's value, 0 where it was never counted.
pub(crate) async fn metric(world: &World, name: &str) -> u64 {
    let answer = reqwest::get(format!("{}/metrics", world.agent_url()))
        .await
        .unwrap();
    let text = answer.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("haproxy_domain_agent_{name} ")));
    line.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn a_batch_is_served_and_survives_haproxy_and_agent() {
    let mut world = World::new().await;
    let (first, second) = (issue_many(&world, 40), issue_many(&world, 20));
    for (issued, generation, outcome) in [
        (&first, 1, ApplyOutcome::Created),
        (&second, 2, ApplyOutcome::Replaced),
        (&second, 3, ApplyOutcome::Unchanged),
    ] {
        for result in world
            .client()
            .apply_batch(&requests(issued, generation))
            .await
        {
            assert_eq!(result.unwrap().outcome, outcome);
        }
        world.assert_loadable();
    }
    let mut digest = InventoryDigest::default();
    for (issued, generation) in second
        .iter()
        .map(|one| (one, 3))
        .chain(first[20..].iter().map(|one| (one, 1)))
    {
        world.assert_serves(issued).await;
        digest.toggle(&issued.hostname, issued.fingerprint(), generation);
    }
    assert_eq!(
        world.client().inventory(None, 1).await.unwrap().digest,
        digest.to_hex()
    );
    assert!(metric(&world, "burst_certificates_count").await < 40);
    assert!(
        std::fs::read_dir(world.state("staging"))
            .unwrap()
            .next()
            .is_none()
    );

    world.kill_haproxy();
    world.stop_agent().await;
    world.start_agent().await;
    world.start_haproxy().await;
    assert_eq!(
        world.client().inventory(None, 1).await.unwrap().digest,
        digest.to_hex()
    );
    for issued in second.iter().chain(&first[20..]) {
        world.assert_serves(issued).await;
    }
    // The certificates that HAProxy read from the disk needed no repair.
    assert_eq!(metric(&world, "repaired_total").await, 0);
    assert_eq!(
        world
            .operator()
            .list_entries(&world.list())
            .await
            .unwrap()
            .len(),
        40
    );
}

#[tokio::test]
async fn each_certificate_of_a_batch_is_refused_for_its_own_reason() {
    let world = World::new().await;
    let issued = issue_many(&world, 12);
    world.client().apply(&issued[3].request(9)).await.unwrap();
    let mut batch = requests(&issued, 5);
    batch[1].fingerprint = "00".repeat(32);
    batch[2].chain_pem = issued[4].chain.to_pem();
    batch[2].fingerprint = issued[4].fingerprint().to_owned();
    let older = world.authority.issue("host3.example.com");
    batch[3] = older.request(8);
    batch[4].generation = u64::try_from(i64::MAX).unwrap() + 1;

    let results = world.client().apply_batch(&batch).await;

    let expected = [
        (1, ProblemCode::FingerprintMismatch),
        (2, ProblemCode::KeyMismatch),
        (3, ProblemCode::GenerationStale),
        (4, ProblemCode::RequestMalformed),
    ];
    for (index, result) in results.iter().enumerate() {
        match expected.iter().find(|(at, _)| *at == index) {
            None => assert!(result.is_ok(), "{index}: {result:?}"),
            Some((_, expected)) => assert!(
                matches!(result, Err(AgentError::Refused { code, .. }) if code == expected),
                "{index}: {result:?}"
            ),
        }
    }
    for (index, one) in issued.iter().enumerate() {
        let is_served = world.visit(&one.hostname).await.is_some();
        assert_eq!(is_served, !matches!(index, 1 | 2 | 4), "{index}");
    }
    world.assert_serves(&issued[3]).await;
    world.assert_loadable();
}

#[tokio::test]
async fn a_hostname_that_comes_twice_in_a_batch_ends_with_the_later_one() {
    let world = World::new().await;
    let issued: Vec<_> = (0..3)
        .map(|_| world.authority.issue("shop.example.com"))
        .collect();
    let batch = [
        issued[0].request(1),
        issued[1].request(3),
        issued[2].request(2),
    ];
    let results = world.client().apply_batch(&batch).await;
    assert_eq!(results[0].as_ref().unwrap().outcome, ApplyOutcome::Created);
    assert_eq!(results[1].as_ref().unwrap().outcome, ApplyOutcome::Replaced);
    assert!(
        matches!(
            &results[2],
            Err(AgentError::Refused {
                code: ProblemCode::GenerationStale,
                ..
            })
        ),
        "{results:?}"
    );
    world.assert_serves(&issued[1]).await;
}

#[tokio::test]
async fn a_certificate_that_haproxy_refuses_holds_up_no_other_of_its_batch() {
    let mut world =
        World::with_settings(|settings| settings.max_runtime_request_bytes = 4096).await;
    world.start_haproxy().await;
    let mut issued = issue_many(&world, 10);
    issued[4] = world.authority.issue_padded("host4.example.com", 6000);
    let results = world.client().apply_batch(&requests(&issued, 1)).await;
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), index != 4, "{index}: {result:?}");
        assert_eq!(
            world.visit(&issued[index].hostname).await.is_some(),
            index != 4,
            "{index}"
        );
    }
    world.assert_loadable();
}

#[tokio::test]
async fn a_batch_that_meets_an_operators_open_transaction_ends_under_its_own_names() {
    let world = World::new().await;
    let stray = world.authority.issue("stray.example.com");
    let store = StoreName::parse("/nowhere/stray.pem").unwrap();
    let operator = world.operator();
    operator.create(&store).await.unwrap();
    operator
        .stage(&store, &Payload::new(&stray.chain, &stray.key))
        .await
        .unwrap();
    let issued = issue_many(&world, 12);
    for result in world.client().apply_batch(&requests(&issued, 1)).await {
        result.unwrap();
    }
    for one in &issued {
        world.assert_serves(one).await;
    }
    assert!(operator.commit(&store).await.is_err());
    assert_eq!(
        operator.list_entries(&world.list()).await.unwrap().len(),
        issued.len()
    );
}

#[tokio::test]
async fn a_batch_that_is_none_or_too_many_is_refused_as_a_whole() {
    let world = World::new().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/internal/v1/certificates/apply-batch", world.agent_url());
    let too_many = serde_json::json!({ "certificates": vec![0; MAX_BATCH_CERTIFICATES + 1] });
    for (body, status) in [
        ("{}".to_owned(), 400),
        (r#"{"certificates": 1}"#.to_owned(), 400),
        (too_many.to_string(), 413),
        ("x".repeat(5 * 1024 * 1024), 413),
    ] {
        let call = http.post(&url).bearer_auth(TOKEN).body(body);
        // A body that is too long may be refused before it is read to the end.
        if let Ok(answer) = call.send().await {
            assert_eq!(answer.status(), status);
        }
    }
    let one = serde_json::json!({ "certificates": [{ "hostname": "a.example" }, 7] });
    let answer = http
        .post(&url)
        .bearer_auth(TOKEN)
        .json(&one)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    for index in [0, 1] {
        assert_eq!(
            answer["results"][index]["refused"]["code"], "REQUEST_MALFORMED",
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_apply_that_is_older_than_a_removal_brings_nothing_back() {
    let mut world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(5)).await.unwrap();
    world.client().remove(&issued.hostname).await.unwrap();
    for restarted in [false, true] {
        let late = world
            .client()
            .apply(&world.authority.issue("shop.example.com").request(4))
            .await;
        assert_stale(&late);
        assert_eq!(world.visit(&issued.hostname).await, None);
        if !restarted {
            world.stop_agent().await;
            world.start_agent().await;
        }
    }
    let again = world.authority.issue("shop.example.com");
    world.client().apply(&again.request(6)).await.unwrap();
    world.assert_serves(&again).await;
}

#[tokio::test]
async fn a_removal_of_an_older_generation_than_is_held_takes_nothing_down() {
    let mut world = World::new().await;
    let client = world.client();
    let issued = world.authority.issue("shop.example.com");
    client.apply(&issued.request(5)).await.unwrap();
    let before = world.files();

    let late = client.remove_generation(&issued.hostname, 4).await;
    assert_stale(&late);
    world.assert_serves(&issued).await;
    assert_eq!(world.files(), before);
    assert_eq!(
        metric(&world, "refused_total{code=\"GENERATION_STALE\"}").await,
        1
    );

    // A generation that the agent never saw was meant to be removed as well, whether it is still
    // under way or was lost.
    client.remove_generation(&issued.hostname, 7).await.unwrap();
    assert_eq!(world.visit(&issued.hostname).await, None);
    world.stop_agent().await;
    world.start_agent().await;
    let client = world.client();
    assert_stale(&client.apply(&issued.request(6)).await);
    client.apply(&issued.request(7)).await.unwrap();
    world.assert_serves(&issued).await;
    world.assert_loadable();
}

#[tokio::test]
async fn a_removal_with_a_generation_is_remembered_where_nothing_was_held() {
    let world = World::new().await;
    let client = world.client();
    let issued = world.authority.issue("shop.example.com");
    client.remove_generation(&issued.hostname, 3).await.unwrap();
    client.remove_generation(&issued.hostname, 2).await.unwrap();
    assert_stale(&client.apply(&issued.request(2)).await);
    assert_eq!(world.visit(&issued.hostname).await, None);
    client.apply(&issued.request(3)).await.unwrap();
    world.assert_serves(&issued).await;
}

fn assert_stale<T: std::fmt::Debug>(verdict: &Result<T, AgentError>) {
    let is_stale = |error: &AgentError| {
        matches!(
            error,
            AgentError::Refused {
                code: ProblemCode::GenerationStale,
                ..
            }
        )
    };
    assert!(verdict.as_ref().is_err_and(is_stale), "{verdict:?}");
}

#[tokio::test]
async fn what_an_operator_committed_or_removed_by_hand_is_repaired_while_the_agent_runs() {
    for tcp in [false, true] {
        let mut world = World::with_settings(|settings| {
            settings.audit_interval = HumanDuration::from_secs(1);
            if tcp {
                let free = dps_lab::free_port().unwrap();
                settings.haproxy_socket = format!("tcp:127.0.0.1:{free}");
            }
        })
        .await;
        world.start_haproxy().await;
        let issued = issue_many(&world, 10);
        for result in world.client().apply_batch(&requests(&issued, 1)).await {
            result.unwrap();
        }
        let (operator, list) = (world.operator(), world.list());
        let impostor = world.authority.issue("host0.example.com");
        let swapped = world.store(&issued[0].hostname);
        operator
            .stage(&swapped, &Payload::new(&impostor.chain, &impostor.key))
            .await
            .unwrap();
        operator.commit(&swapped).await.unwrap();
        let unlisted = world.store(&issued[1].hostname);
        operator.list_remove(&list, &unlisted, None).await.unwrap();

        eventually("both are repaired", async || {
            world.visit(&issued[0].hostname).await.as_deref() == Some(issued[0].fingerprint())
                && world.visit(&issued[1].hostname).await.is_some()
        })
        .await;
        eventually("the drift is counted", async || {
            metric(&world, "drift_total{kind=\"replaced\"}").await == 1
                && metric(&world, "drift_total{kind=\"unlisted\"}").await == 1
                && metric(&world, "repaired_total").await == 2
        })
        .await;
        assert_eq!(metric(&world, "haproxy_restarts_total").await, 0);
    }
}
