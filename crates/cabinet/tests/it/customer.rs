//! The customer's side of the contract.

use std::time::Duration;

use dps_cabinet_api::{ProblemCode, StatusReport};
use dps_domain::Status;
use reqwest::Method;
use serde_json::json;

use crate::world::{World, answer, hosts, on_both_databases, refusal};

on_both_databases! {
    async fn a_created_domain_names_the_exact_record_to_create(database: Database) {
        let world = World::with(&database, |settings| {
            settings.edge_addresses = vec!["192.0.2.7".parse().unwrap()];
        })
        .await;
        let response = world.create(" WWW.Bücher.Example. ").await;
        assert_eq!(response.headers()["etag"], "\"1\"");
        let domain = answer(response, 201).await;
        assert_eq!(domain["hostname"], "WWW.Bücher.Example.");
        assert_eq!(domain["canonicalHost"], "www.xn--bcher-kva.example");
        assert_eq!(domain["status"], "PendingDns");
        assert_eq!(
            domain["instruction"],
            "create the record \"www CNAME edge.platform.example.\" in the zone xn--bcher-kva.example"
        );
        let apex = answer(world.create("example.com").await, 201).await;
        assert!(apex["instruction"].as_str().unwrap().contains("\"@ A 192.0.2.7\""));
        let path = format!("/{}", domain["id"].as_str().unwrap());
        let read = world.platform(Method::GET, &path).send().await.unwrap();
        assert_eq!(read.headers()["etag"], "\"1\"");
        assert_eq!(answer(read, 200).await, domain);
    }

    async fn a_repeated_request_gives_the_same_domain_and_a_name_has_one_holder(database: Database) {
        let world = World::with(&database, |settings| settings.allow_contested_claims = false).await;
        let first = answer(world.create("shop.example.com").await, 201).await;
        let again = answer(world.create("SHOP.example.com.").await, 200).await;
        assert_eq!(first, again);
        let problem = refusal(world.create_for("other", "shop.example.com").await, 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::NameAlreadyClaimed));
        assert_eq!(problem.field.as_deref(), Some("hostname"));
        assert_eq!(problem.current, None);
    }

    async fn of_many_who_request_one_name_at_once_one_gets_it(database: Database) {
        let world = World::with(&database, |settings| settings.allow_contested_claims = false).await;
        let requests = (0..12).map(|n| {
            let call = world.platform(Method::POST, "");
            tokio::spawn(call.json(&json!({"hostname": "shop.example.com", "tenantId": format!("t{n}")})).send())
        });
        let mut statuses = Vec::new();
        for response in requests.collect::<Vec<_>>() {
            statuses.push(response.await.unwrap().unwrap().status().as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses[0], 201);
        assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
    }

    async fn a_removed_name_can_be_created_again_but_not_before(database: Database) {
        let world = World::with(&database, |settings| settings.allow_contested_claims = false).await;
        let id = world.created("shop.example.com").await;
        let path = format!("/{id}");
        for _ in 0..2 {
            let response = world.platform(Method::DELETE, &path).send().await.unwrap();
            let domain = answer(response, 202).await;
            assert_eq!((&domain["status"], &domain["version"]), (&json!("PendingRemoval"), &json!(2)));
        }
        let problem = refusal(world.create("shop.example.com").await, 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::RemovalPending));
        let problem = refusal(world.create_for("other", "shop.example.com").await, 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::NameAlreadyClaimed));
        answer(world.report(&id, 2, &StatusReport::of(Status::Removed)).await, 200).await;
        let anew = answer(world.create_for("other", "shop.example.com").await, 201).await;
        assert_ne!(anew["id"], id);
        let old = world.platform(Method::GET, &path).send().await.unwrap();
        assert_eq!(answer(old, 200).await["status"], "Removed");
    }

    async fn a_retry_starts_over_but_not_too_often_and_not_after_removal(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("shop.example.com").await;
        let failed = StatusReport {
            last_error_code: Some("DNS_NXDOMAIN".to_owned()),
            ..StatusReport::of(Status::Failed)
        };
        answer(world.report(&id, 1, &failed).await, 200).await;
        let retry = || world.platform(Method::POST, &format!("/{id}/retry")).send();
        let domain = answer(retry().await.unwrap(), 202).await;
        assert_eq!((&domain["status"], &domain["version"]), (&json!("PendingDns"), &json!(3)));
        assert!(domain.get("lastErrorCode").is_none());
        let too_soon = retry().await.unwrap();
        let wait: u64 = too_soon.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
        assert_eq!(refusal(too_soon, 429).await.code(), Some(ProblemCode::RetryTooSoon));
        world.advance(Duration::from_secs(wait));
        answer(retry().await.unwrap(), 202).await;
        answer(world.report(&id, 4, &StatusReport::of(Status::Active)).await, 200).await;
        world.advance(Duration::from_secs(60));
        // An active domain is checked again too; the service reports its status anew.
        assert_eq!(answer(retry().await.unwrap(), 202).await["status"], "PendingDns");
        let removal = world.platform(Method::DELETE, &format!("/{id}")).send();
        answer(removal.await.unwrap(), 202).await;
        world.advance(Duration::from_secs(60));
        let problem = refusal(retry().await.unwrap(), 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::NotRetryable));
        assert!(problem.detail.contains("removed"));
    }

    async fn policy_refuses_blocked_names_and_full_tenants(database: Database) {
        let world = World::with(&database, |settings| {
            settings.blocked_names = vec!["platform.example".to_owned()];
            settings.max_domains_per_tenant = 2;
        })
        .await;
        let problem = refusal(world.create("login.PLATFORM.example").await, 422).await;
        assert_eq!((problem.code(), problem.field.as_deref()), (Some(ProblemCode::NameBlocked), Some("hostname")));
        world.created("a.example.com").await;
        let second = world.created("b.example.com").await;
        let problem = refusal(world.create("c.example.com").await, 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::TooManyDomains));
        answer(world.create("a.example.com").await, 200).await;
        answer(world.create_for("other", "d.example.com").await, 201).await;
        world.platform(Method::DELETE, &format!("/{second}")).send().await.unwrap();
        answer(world.report(&second, 2, &StatusReport::of(Status::Removed)).await, 200).await;
        answer(world.create("c.example.com").await, 201).await;
    }

    async fn the_target_is_the_domains_own_if_the_platform_wants_that(database: Database) {
        let world = World::with(&database, |settings| {
            settings.cname_target = Some("{id}.edge.platform.example".to_owned());
            settings.allowed_targets = vec!["other.platform.example".to_owned()];
        })
        .await;
        let domain = answer(world.create("shop.example.com").await, 201).await;
        let id = domain["id"].as_str().unwrap().replace('-', "");
        assert_eq!(domain["cnameTarget"], format!("{id}.edge.platform.example"));
        let body = json!({"hostname": "b.example.com", "tenantId": "t", "cnameTarget": "Other.platform.example."});
        let own = world.platform(Method::POST, "").json(&body).send().await.unwrap();
        assert_eq!(answer(own, 201).await["cnameTarget"], "other.platform.example");
    }

    async fn a_platform_without_a_target_needs_one_in_each_request(database: Database) {
        let world = World::with(&database, |settings| settings.cname_target = None).await;
        let problem = refusal(world.create("shop.example.com").await, 422).await;
        assert_eq!(problem.field.as_deref(), Some("cnameTarget"));
    }

    async fn a_customers_list_is_filtered_by_tenant_status_and_any_spelling_of_the_name(database: Database) {
        let world = World::on(&database).await;
        for (tenant, host) in [("a", "one.example.com"), ("b", "bücher.example"), ("a", "two.example.com")] {
            answer(world.create_for(tenant, host).await, 201).await;
        }
        for (query, expected) in [
            ("?tenantId=a", vec!["one.example.com", "two.example.com"]),
            ("?hostname=B%C3%9CCHER.example.", vec!["xn--bcher-kva.example"]),
            ("?tenantId=a&hostname=two.example.com&status=PendingDns", vec!["two.example.com"]),
            ("?tenantId=a&status=Active", vec![]),
            ("?tenantId=a&limit=1", vec!["one.example.com"]),
        ] {
            let page = answer(world.platform(Method::GET, query).send().await.unwrap(), 200).await;
            assert_eq!(hosts(&page), expected, "{query}");
            assert!(page["items"].as_array().unwrap().iter().all(|item| item["instruction"].is_string()));
        }
    }
}
