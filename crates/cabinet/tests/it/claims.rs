//! Claims of several tenants to one hostname, and the targets that prove whose it is.

use std::collections::BTreeSet;
use std::time::Duration;

use dps_cabinet_api::{OwnershipVerification, ProblemCode, StatusReport};
use dps_domain::{Status, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Database, World, answer, hosts, on_both_databases, refusal};

const HOST: &str = "shop.example.com";

async fn with_targets(database: &Database, template: &str) -> World {
    World::with(database, |settings| {
        settings.cname_target = Some(template.to_owned());
    })
    .await
}

async fn claim(world: &World, tenant_id: &str, hostname: &str) -> Value {
    answer(world.create_for(tenant_id, hostname).await, 201).await
}

/// Removes a domain at version 1, and reports that it is removed.
async fn remove(world: &World, domain: &Value) {
    let id = domain["id"].as_str().unwrap();
    let call = world.platform(Method::DELETE, &format!("/{id}"));
    answer(call.send().await.unwrap(), 202).await;
    let removed = StatusReport::of(Status::Removed);
    answer(world.report(id, 2, &removed).await, 200).await;
}

/// The label that a target has before the suffix of the tests.
fn label(domain: &Value) -> &str {
    let target = domain["cnameTarget"].as_str().unwrap();
    target.strip_suffix(".edge.platform.example").unwrap()
}

on_both_databases! {
    async fn each_domain_has_a_target_that_nobody_can_guess(database: Database) {
        let world = with_targets(&database, "{random}.edge.platform.example").await;
        let claims = [
            claim(&world, "a", HOST).await,
            claim(&world, "b", HOST).await,
            claim(&world, "a", "example.com").await,
        ];
        let labels: BTreeSet<&str> = claims.iter().map(label).collect();
        assert_eq!(labels.len(), claims.len());
        for label in labels {
            assert_eq!(label.len(), 26, "{label}");
            assert!(label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')), "{label}");
        }
        let expected = format!("create the record \"shop CNAME {}.edge.platform.example.\"", label(&claims[0]));
        assert!(claims[0]["instruction"].as_str().unwrap().starts_with(&expected), "{}", claims[0]);
    }

    async fn a_tenant_that_returns_gets_its_target_again_and_no_other_tenant_does(database: Database) {
        for (template, hostname) in [("{random}.edge.platform.example", HOST), ("{id}.edge.platform.example", "by-id.example.com")] {
            let world = with_targets(&database, template).await;
            let first = claim(&world, "a", hostname).await;
            remove(&world, &first).await;
            let other = claim(&world, "b", hostname).await;
            assert_ne!(label(&first), label(&other));
            let other_name = claim(&world, "a", &format!("x.{hostname}")).await;
            assert_ne!(label(&first), label(&other_name));
            let second = claim(&world, "a", hostname).await;
            assert_eq!(label(&first), label(&second));
            assert_ne!(first["id"], second["id"]);
            // Twice, and after the other tenant left too.
            remove(&world, &second).await;
            remove(&world, &other).await;
            assert_eq!(label(&first), label(&claim(&world, "a", hostname).await));
            assert_eq!(label(&other), label(&claim(&world, "b", hostname).await));
        }
    }

    async fn a_target_of_a_former_template_does_not_come_back(database: Database) {
        let world = with_targets(&database, "{random}.old.platform.example").await;
        let first = claim(&world, "a", HOST).await;
        remove(&world, &first).await;
        let world = with_targets(&database, "{random}.edge.platform.example").await;
        let second = claim(&world, "a", HOST).await;
        assert_ne!(first["cnameTarget"].as_str().unwrap().split_once('.').unwrap().0, label(&second));
    }

    async fn a_request_cannot_name_the_target_of_another_domain(database: Database) {
        for template in ["{random}.edge.platform.example", "{id}.edge.platform.example"] {
            let world = World::with(&database, |settings| {
                settings.cname_target = Some(template.to_owned());
                settings.allowed_targets = vec!["platform.example".to_owned(), "lb.other.example".to_owned()];
            })
            .await;
            let victim = claim(&world, template, HOST).await;
            let request = |target: &str| {
                let body = json!({"hostname": "b.example.com", "tenantId": template, "cnameTarget": target});
                world.platform(Method::POST, "").json(&body).send()
            };
            for target in [victim["cnameTarget"].as_str().unwrap(), "guess.EDGE.platform.example"] {
                let problem = refusal(request(target).await.unwrap(), 422).await;
                assert_eq!(problem.code(), Some(ProblemCode::FieldInvalid), "{target}");
                assert_eq!(problem.field.as_deref(), Some("cnameTarget"), "{target}");
                assert!(problem.detail.contains("a target of its own"), "{}", problem.detail);
            }
            answer(request("eu.lb.other.example").await.unwrap(), 201).await;
        }
    }

    async fn each_tenant_has_one_claim_to_a_hostname(database: Database) {
        let world = World::on(&database).await;
        let first = claim(&world, "a", HOST).await;
        let second = claim(&world, "b", "SHOP.example.com.").await;
        assert_ne!(first["id"], second["id"]);
        for (tenant, own) in [("a", &first), ("b", &second)] {
            assert_eq!(answer(world.create_for(tenant, HOST).await, 200).await, *own);
        }
        let list = async |query: &str| {
            let page = answer(world.platform(Method::GET, query).send().await.unwrap(), 200).await;
            page["items"].as_array().unwrap().clone()
        };
        assert_eq!(list("?hostname=shop.example.com").await, [first.clone(), second.clone()]);
        assert_eq!(list("?hostname=shop.example.com&tenantId=b").await, std::slice::from_ref(&second));
        assert_eq!(hosts(&world.read("").await), [HOST, HOST]);
        assert_eq!(hosts(&world.read("/changes").await), [HOST, HOST]);
        // The removal of one claim leaves the other alone.
        remove(&world, &first).await;
        let kept = world.platform(Method::GET, &format!("/{}", second["id"].as_str().unwrap()));
        assert_eq!(answer(kept.send().await.unwrap(), 200).await, second);
        let again = claim(&world, "a", HOST).await;
        assert_ne!(again["id"], first["id"]);
    }

    async fn of_many_requests_at_once_each_tenant_gets_one_claim(database: Database) {
        let world = World::on(&database).await;
        let requests = (0..12).map(|n| {
            let call = world.platform(Method::POST, "");
            tokio::spawn(call.json(&json!({"hostname": HOST, "tenantId": format!("t{}", n % 4)})).send())
        });
        let mut statuses = Vec::new();
        for response in requests.collect::<Vec<_>>() {
            statuses.push(response.await.unwrap().unwrap().status().as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [[200; 8].as_slice(), [201; 4].as_slice()].concat());
    }

    async fn claims_count_against_their_own_tenant(database: Database) {
        let world = World::with(&database, |settings| settings.max_domains_per_tenant = 1).await;
        claim(&world, "a", HOST).await;
        claim(&world, "b", HOST).await;
        let problem = refusal(world.create_for("b", "b.example.com").await, 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::TooManyDomains));
    }

    async fn a_claim_that_lost_is_retried_and_shows_the_record_that_proves_it(database: Database) {
        let world = World::on(&database).await;
        claim(&world, "a", HOST).await;
        let lost = claim(&world, "b", HOST).await;
        let id = lost["id"].as_str().unwrap();
        // A claim is superseded even while it is served.
        answer(world.report(id, 1, &StatusReport::of(Status::Active)).await, 200).await;
        let superseded = StatusReport {
            last_error_code: Some("NAME_ALREADY_CLAIMED".to_owned()),
            last_error_message: Some("Another account has proven it.".to_owned()),
            ..StatusReport::of(Status::Failed)
        };
        answer(world.report(id, 2, &superseded).await, 200).await;
        world.advance(Duration::from_secs(60));
        let retry = || world.platform(Method::POST, &format!("/{id}/retry")).send();
        let retried = answer(retry().await.unwrap(), 202).await;
        assert_eq!(retried["status"], "PendingDns");
        let proof = OwnershipVerification::txt("_dps-challenge.shop.example.com", "dps-verify=b");
        let unproven = StatusReport {
            last_error_code: Some("DNS_OWNERSHIP_REQUIRED".to_owned()),
            ownership_verification: Some(proof.clone()),
            ..StatusReport::of(Status::PendingDns)
        };
        let reported = answer(world.report(id, 4, &unproven).await, 200).await;
        let read = |domain: &Value| -> OwnershipVerification {
            serde_json::from_value(domain["ownershipVerification"].clone()).unwrap()
        };
        assert_eq!(read(&reported), proof);
        // The record stays in sight while the retry that follows its creation is under way.
        world.advance(Duration::from_secs(60));
        let retried = answer(retry().await.unwrap(), 202).await;
        assert_eq!(read(&retried), proof);
        let wanted = "create the record \"shop CNAME edge.platform.example.\" in the zone example.com; to prove that \
                      the name is yours, create the record \"_dps-challenge.shop TXT dps-verify=b\" in the zone example.com";
        assert_eq!(retried["instruction"], wanted);
        let page = answer(world.platform(Method::GET, "?tenantId=b").send().await.unwrap(), 200).await;
        assert_eq!(read(&page["items"][0]), proof);
        let proven = StatusReport::of(Status::Issuing);
        let issuing = answer(world.report(id, 6, &proven).await, 200).await;
        assert_eq!(issuing.get("ownershipVerification"), None);
    }

    async fn a_released_name_is_free_for_another_tenant_where_claims_are_exclusive(database: Database) {
        let world = World::with(&database, |settings| settings.allow_contested_claims = false).await;
        let first = claim(&world, "a", HOST).await;
        let id = first["id"].as_str().unwrap();
        let is_taken = async |tenant: &str| {
            let problem = refusal(world.create_for(tenant, HOST).await, 409).await;
            assert_eq!(problem.code(), Some(ProblemCode::NameAlreadyClaimed));
        };
        is_taken("b").await;
        answer(world.report(id, 1, &StatusReport::of(Status::Active)).await, 200).await;
        let moved = |next_attempt_at, code: &str| StatusReport {
            last_error_code: Some(code.to_owned()),
            next_attempt_at,
            ..StatusReport::of(Status::Failed)
        };
        // Its return is still waited for.
        let next = Some(Timestamp::from_unix_seconds(4_000_000_000));
        answer(world.report(id, 2, &moved(next, "DNS_MOVED")).await, 200).await;
        is_taken("b").await;
        // It failed for good, and may be tried again.
        answer(world.report(id, 3, &moved(None, "DNS_NXDOMAIN")).await, 200).await;
        is_taken("b").await;
        answer(world.report(id, 4, &moved(None, "DNS_MOVED")).await, 200).await;
        let second = claim(&world, "b", HOST).await;
        assert_ne!(second["id"], first["id"]);
        is_taken("c").await;
        // The first tenant keeps its domain, and reads why it failed.
        let kept = world.platform(Method::GET, &format!("/{id}")).send().await.unwrap();
        assert_eq!(answer(kept, 200).await["lastErrorCode"], "DNS_MOVED");
    }

    async fn a_removal_no_longer_wants_a_proof(database: Database) {
        let world = World::on(&database).await;
        let id = world.created(HOST).await;
        let unproven = StatusReport {
            ownership_verification: Some(OwnershipVerification::txt("_dps-challenge.shop.example.com", "v")),
            ..StatusReport::of(Status::PendingDns)
        };
        answer(world.report(&id, 1, &unproven).await, 200).await;
        let removal = world.platform(Method::DELETE, &format!("/{id}")).send().await.unwrap();
        assert_eq!(answer(removal, 202).await.get("ownershipVerification"), None);
    }
}
