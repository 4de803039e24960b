//! The service's reports.

use dps_cabinet_api::{CustomDomain, OwnershipVerification, ProblemCode, StatusReport};
use dps_domain::{Status, Timestamp};
use reqwest::Method;
use serde_json::json;

use crate::world::{World, answer, on_both_databases, refusal};

fn waiting_for_dns() -> StatusReport {
    let details = json!({"code": "DNS_WRONG_TARGET", "chain": ["else\u{0}where.example", "ü"], "addresses": []});
    StatusReport {
        last_error_code: Some("DNS_WRONG_TARGET".to_owned()),
        last_error_message: Some(
            "shop.example.com points to elsewhere.example, not to us; '; DROP TABLE x".to_owned(),
        ),
        error_details: details.as_object().cloned(),
        next_attempt_at: Some(Timestamp::from_unix_micros(1_800_000_123_456_789)),
        ownership_verification: Some(OwnershipVerification::txt(
            "_dps-challenge.shop.example.com",
            "dps-verify=a';\\\"b",
        )),
        ..StatusReport::of(Status::PendingDns)
    }
}

on_both_databases! {
    async fn a_report_is_kept_field_by_field_and_absent_fields_are_cleared(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("shop.example.com").await;
        let response = world.report(&id, 1, &waiting_for_dns()).await;
        assert_eq!(response.headers()["etag"], "\"2\"");
        answer(response, 200).await;
        let read: CustomDomain = serde_json::from_value(world.read(&format!("/{id}")).await).unwrap();
        assert!(waiting_for_dns().is_what(&read));
        assert!(read.updated_at > read.created_at);
        let active = StatusReport {
            certificate_not_after: Some(Timestamp::from_unix_seconds(1_807_776_000)),
            ..StatusReport::of(Status::Active)
        };
        let domain = answer(world.report(&id, 2, &active).await, 200).await;
        assert_eq!(domain["certificateNotAfter"], "2027-04-15T08:00:00Z");
        for cleared in ["lastErrorCode", "lastErrorMessage", "errorDetails", "nextAttemptAt", "ownershipVerification"] {
            assert!(domain.get(cleared).is_none(), "{cleared}");
        }
    }

    async fn a_report_without_a_version_or_for_a_moved_one_is_refused(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("shop.example.com").await;
        let call = || world.service(Method::POST, &format!("/{id}/status")).json(&StatusReport::of(Status::Issuing));
        let problem = refusal(call().send().await.unwrap(), 428).await;
        assert_eq!((problem.code(), problem.field.as_deref()), (Some(ProblemCode::VersionRequired), Some("If-Match")));
        for bad in ["1", "W/\"1\"", "*", "\"one\""] {
            let problem = refusal(call().header("If-Match", bad).send().await.unwrap(), 400).await;
            assert_eq!(problem.field.as_deref(), Some("If-Match"));
        }
        world.platform(Method::POST, &format!("/{id}/retry")).send().await.unwrap();
        let problem = refusal(world.report(&id, 1, &StatusReport::of(Status::Issuing)).await, 409).await;
        assert_eq!(problem.code(), Some(ProblemCode::VersionMoved));
        let current = problem.current.unwrap();
        assert_eq!((current.version, current.status()), (2, Some(Status::PendingDns)));
        answer(world.report(&id, current.version, &StatusReport::of(Status::Issuing)).await, 200).await;
    }

    async fn a_report_sent_again_after_its_answer_was_lost_changes_nothing(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("shop.example.com").await;
        let first = answer(world.report(&id, 1, &waiting_for_dns()).await, 200).await;
        let again = answer(world.report(&id, 1, &waiting_for_dns()).await, 200).await;
        assert_eq!(first, again);
        assert_eq!(again["version"], 2);
    }

    async fn of_reports_for_one_version_at_once_one_is_applied(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("shop.example.com").await;
        let reporting: Vec<_> = (0..8)
            .map(|n| {
                let report = StatusReport { last_error_code: Some(format!("C{n}")), ..StatusReport::of(Status::Failed) };
                let call = world.service(Method::POST, &format!("/{id}/status"));
                tokio::spawn(call.header("If-Match", "\"1\"").json(&report).send())
            })
            .collect();
        let mut statuses = Vec::new();
        for report in reporting {
            statuses.push(report.await.unwrap().unwrap().status().as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
        assert_eq!(world.read(&format!("/{id}")).await["version"], 2);
    }

    async fn an_illegal_move_is_refused_and_the_domain_stays(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("shop.example.com").await;
        let problem = refusal(world.report(&id, 1, &StatusReport::of(Status::Removed)).await, 422).await;
        assert_eq!((problem.code(), problem.field.as_deref()), (Some(ProblemCode::IllegalMove), Some("status")));
        assert_eq!(world.read(&format!("/{id}")).await["version"], 1);
    }

    async fn an_unknown_domain_is_gone(database: Database) {
        let world = World::on(&database).await;
        let unknown = "018bcfe5-6800-7000-8000-000000000001";
        refusal(world.report(unknown, 1, &StatusReport::of(Status::Active)).await, 404).await;
        for path in [unknown, "7", "1%27%20OR%201=1", "%FF"] {
            let response = world.service(Method::GET, &format!("/{path}")).send().await.unwrap();
            assert_eq!(refusal(response, 404).await.field.as_deref(), Some("id"));
            let call = world.platform(Method::DELETE, &format!("/{path}"));
            assert_eq!(refusal(call.send().await.unwrap(), 404).await.field.as_deref(), Some("id"));
        }
    }
}
