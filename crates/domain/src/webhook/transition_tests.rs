use std::net::IpAddr;

use uuid::Uuid;

use super::*;
use crate::record::test_record::{NOW, record};
use crate::{CertificateId, DnsState, Issuance, OrderId};

fn live(number: u128, not_after: Timestamp, next: Next) -> Phase {
    Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(number)),
        not_after,
        dns: DnsState::Here,
        next,
    }
}

/// A domain that is served with a certificate that is renewed in 60 days and ends in 90.
fn served() -> DomainRecord {
    let next = Next::At(NOW + DAY * 60);
    DomainRecord {
        urgent_from: Some(NOW + DAY * 81),
        ..record(live(1, NOW + DAY * 90, next))
    }
}

fn names(before: Option<&DomainRecord>, after: &DomainRecord) -> Vec<&'static str> {
    let events = events(before, after);
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn only(before: &DomainRecord, after: &DomainRecord) -> Value {
    let events = events(Some(before), after);
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    serde_json::from_str(&event.body()).unwrap()
}

fn refused() -> Failure {
    Failure::HttpRefused {
        address: IpAddr::from([192, 0, 2, 1]),
    }
}

#[test]
fn a_first_certificate_makes_a_domain_active_and_the_next_one_renews_it() {
    let waiting = record(Phase::START);
    assert_eq!(names(None, &waiting), [""; 0]);
    let served = served();
    let body = only(&waiting, &served);
    assert_eq!(body["type"], "domain.active");
    assert_eq!(body["timestamp"], json!(NOW));
    let data = &body["data"];
    assert_eq!(data["hostname"], "shop.example.com");
    assert_eq!(data["tenantId"], "acme");
    assert_eq!(data["status"], "Active");
    assert_eq!(data["certificateNotAfter"], json!(NOW + DAY * 90));
    let renewed = DomainRecord {
        phase: live(2, NOW + DAY * 150, Next::At(NOW + DAY * 120)),
        ..served.clone()
    };
    assert_eq!(names(Some(&served), &renewed), ["domain.renewed"]);
    assert_eq!(names(Some(&renewed), &renewed), [""; 0]);
}

#[test]
fn a_failure_is_announced_when_its_code_is_new_and_a_wait_is_none() {
    let waiting = record(Phase::START);
    let failing = |failure| DomainRecord {
        last_failure: Some(failure),
        ..waiting.clone()
    };
    let refused = failing(refused());
    let body = only(&waiting, &refused);
    assert_eq!(body["type"], "domain.failing");
    assert_eq!(body["data"]["code"], "HTTP_REFUSED");
    assert_eq!(body["data"]["actor"], "customer");
    assert_eq!(names(Some(&refused), &refused), [""; 0], "the same again");
    let nxdomain = failing(Failure::DnsNxdomain {});
    assert_eq!(names(Some(&refused), &nxdomain), ["domain.failing"]);
    let queued = failing(Failure::AcmeRateLimited {
        until: None,
        detail: String::new(),
    });
    assert_eq!(names(Some(&waiting), &queued), [""; 0]);
    let gave_up = DomainRecord {
        phase: Phase::Failed,
        ..refused.clone()
    };
    assert_eq!(names(Some(&refused), &gave_up), ["domain.failing"]);
    assert_eq!(names(None, &gave_up), ["domain.failing"], "refused at once");
}

#[test]
fn a_move_is_announced_once_with_its_cause_and_so_is_the_return() {
    let here = served();
    let moved = DomainRecord {
        phase: Phase::Live {
            serving: CertificateId::from_uuid(Uuid::from_u128(1)),
            not_after: NOW + DAY * 90,
            dns: DnsState::MovedAway { since: NOW },
            next: Next::At(NOW + DAY * 60),
        },
        last_failure: Some(Failure::DnsNxdomain {}),
        ..here.clone()
    };
    let body = only(&here, &moved);
    assert_eq!(body["type"], "domain.moved_away");
    assert_eq!(body["data"]["code"], "DNS_NXDOMAIN");
    assert_eq!(body["data"]["since"], json!(NOW));
    assert_eq!(names(Some(&moved), &moved), [""; 0]);
    assert_eq!(names(Some(&moved), &here), ["domain.restored"]);
}

#[test]
fn a_removal_is_announced_when_no_edge_serves_the_domain() {
    let leaving = record(Phase::Leaving);
    assert_eq!(names(Some(&served()), &leaving), [""; 0]);
    let gone = record(Phase::Gone);
    assert_eq!(names(Some(&leaving), &gone), ["domain.removed"]);
    assert_eq!(names(Some(&gone), &gone), [""; 0]);
}

#[test]
fn a_record_that_takes_a_name_down_makes_no_event() {
    let mut leaving = record(Phase::Leaving);
    leaving.id = leaving.id.take_down(&leaving.hostname, 1);
    let gone = DomainRecord {
        phase: Phase::Gone,
        ..leaving.clone()
    };
    assert_eq!(names(Some(&leaving), &gone), [""; 0]);
}

#[test]
fn a_contested_claim_and_a_lost_one_are_announced() {
    let waiting = record(Phase::START);
    let required = |contested| DomainRecord {
        last_failure: Some(Failure::DnsOwnershipRequired {
            name: "_proof.shop.example.com".into(),
            contested,
        }),
        ..waiting.clone()
    };
    let contested = required(true);
    assert_eq!(
        names(Some(&waiting), &contested),
        ["claim.contested", "domain.failing"]
    );
    assert_eq!(names(Some(&contested), &contested), [""; 0]);
    assert_eq!(
        names(Some(&waiting), &required(false)),
        ["domain.failing"],
        "a proof that is always required"
    );
    let lost = DomainRecord {
        phase: Phase::Failed,
        last_failure: Some(Failure::NameAlreadyClaimed { proven: true }),
        ..waiting.clone()
    };
    let events = events(Some(&served()), &lost);
    assert_eq!(events[0].kind, WebhookEventKind::ClaimContested);
    assert_eq!(events[0].data["lost"], true);
    assert_eq!(names(Some(&lost), &lost), [""; 0]);
}

/// The thresholds that writes at these days announce, while the renewal is under way or not.
fn expiring(days: &[u32], is_due: bool) -> Vec<(u32, String)> {
    let mut before = served();
    let mut announced = vec![];
    for day in days {
        let order = OrderId::from_uuid(Uuid::nil());
        let next = if is_due && *day >= 60 {
            Next::Now(Issuance::Validating { order })
        } else {
            Next::At(NOW + DAY * 60)
        };
        let after = DomainRecord {
            phase: live(1, NOW + DAY * 90, next),
            updated_at: NOW + DAY * *day,
            ..before.clone()
        };
        announced.extend(events(Some(&before), &after).iter().map(|event| {
            assert_eq!(event.kind, WebhookEventKind::DomainExpiring);
            let threshold = event.data["threshold"].as_str().unwrap();
            (*day, threshold.to_owned())
        }));
        before = after;
    }
    announced
}

#[test]
fn each_threshold_is_announced_once_if_the_renewal_is_overdue() {
    let every_day: Vec<u32> = (1..=95).collect();
    let expected = [(76, "14d"), (81, "urgent"), (83, "7d")];
    let expected = expected.map(|(day, name)| (day, name.to_owned()));
    assert_eq!(expiring(&every_day, true), expected);
    assert_eq!(
        expiring(&[59, 82], true),
        [(82, "urgent".to_owned())],
        "the last of several"
    );
    assert_eq!(expiring(&[30, 50, 59], false), []);
}

#[test]
fn a_certificate_that_is_renewed_or_left_alone_announces_no_end() {
    let before = served();
    let renewed = DomainRecord {
        phase: live(2, NOW + DAY * 170, Next::At(NOW + DAY * 140)),
        updated_at: NOW + DAY * 80,
        ..before.clone()
    };
    assert_eq!(names(Some(&before), &renewed), ["domain.renewed"]);
    let moved = |at| DomainRecord {
        phase: Phase::Live {
            serving: CertificateId::from_uuid(Uuid::from_u128(1)),
            not_after: NOW + DAY * 90,
            dns: DnsState::MovedAway { since: NOW },
            next: Next::At(NOW + DAY * 60),
        },
        updated_at: at,
        ..before.clone()
    };
    let (early, late) = (moved(NOW), moved(NOW + DAY * 80));
    assert_eq!(names(Some(&early), &late), [""; 0]);
}

#[test]
fn an_issued_certificate_names_what_a_log_shows_and_no_key() {
    let detail = json!({
        "serial": "04d2", "fingerprint": "ab", "issuer": "CN=R10", "notBefore": NOW,
        "notAfter": NOW + DAY, "key": "not this",
    });
    let event = issued(&served(), &detail);
    let body: Value = serde_json::from_str(&event.body()).unwrap();
    assert_eq!(body["type"], "certificate.issued");
    let data = body["data"].as_object().unwrap();
    assert_eq!(data["names"], json!(["shop.example.com"]));
    assert_eq!(data["issuer"], "CN=R10");
    let fields: Vec<&str> = data.keys().map(String::as_str).collect();
    let expected = [
        "domainId",
        "fingerprint",
        "hostname",
        "issuer",
        "names",
        "notAfter",
        "notBefore",
        "serial",
        "status",
        "tenantId",
    ];
    assert_eq!(fields, expected);
}

/// An event of each kind, with every field.
fn examples() -> Vec<WebhookEvent> {
    let waiting = record(Phase::START);
    let served = served();
    let phase = |number, dns, next| Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(number)),
        not_after: NOW + DAY * 90,
        dns,
        next,
    };
    let changed = |phase, last_failure, days| DomainRecord {
        phase,
        last_failure,
        updated_at: NOW + DAY * days,
        ..served.clone()
    };
    let renew_at = || Next::At(NOW + DAY * 60);
    let failing = DomainRecord {
        last_failure: Some(refused()),
        next_attempt_at: Some(NOW + DAY),
        ..waiting.clone()
    };
    let away = DnsState::MovedAway { since: NOW };
    let moved = changed(phase(1, away, renew_at()), Some(refused()), 1);
    let renewed = changed(phase(2, DnsState::Here, renew_at()), None, 1);
    let order = OrderId::from_uuid(Uuid::nil());
    let under_way = Next::Now(Issuance::Validating { order });
    let renewing = phase(1, DnsState::Here, under_way);
    let overdue = changed(renewing.clone(), Some(refused()), 75);
    let expiring = changed(renewing, Some(refused()), 80);
    let lost = DomainRecord {
        last_failure: Some(Failure::NameAlreadyClaimed { proven: true }),
        ..waiting.clone()
    };
    let detail = json!({
        "serial": "04d2", "fingerprint": "ab", "issuer": "CN=R10", "notBefore": NOW,
        "notAfter": NOW + DAY,
    });
    let transitions = [
        (&waiting, &served),
        (&waiting, &failing),
        (&overdue, &expiring),
        (&served, &renewed),
        (&served, &moved),
        (&moved, &served),
        (&served, &record(Phase::Gone)),
        (&waiting, &lost),
    ];
    let made = transitions.map(|(before, after)| events(Some(before), after).remove(0));
    made.into_iter().chain([issued(&served, &detail)]).collect()
}

/// The words in backquotes.
fn quoted(text: &str) -> Vec<String> {
    let words = text.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn the_guide_for_receivers_lists_every_event_with_its_fields() {
    const COMMON: [&str; 4] = ["domainId", "tenantId", "hostname", "status"];
    let guide = include_str!("../../../../docs/webhooks.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `"));
    let listed: Vec<(String, Vec<String>)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            let mut fields = quoted(cells[3]);
            fields.sort_unstable();
            (quoted(cells[1]).remove(0), fields)
        })
        .collect();
    let made: Vec<(String, Vec<String>)> = examples()
        .iter()
        .map(|event| {
            let fields = event.data.keys().map(String::as_str);
            let own = fields.filter(|field| !COMMON.contains(field));
            (event.kind.to_string(), own.map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(listed, made);
    let kinds = WebhookEventKind::ALL.iter().map(ToString::to_string);
    assert!(made.iter().map(|(kind, _)| kind.clone()).eq(kinds));

    // The examples of messages have no other fields.
    let messages = guide
        .split("```json\n")
        .filter(|text| text.starts_with("{\n  \"type\""));
    let mut checked = 0;
    for text in messages {
        let (text, _) = text.split_once("```").unwrap();
        let message: Value = serde_json::from_str(text).unwrap();
        let (_, fields) = made
            .iter()
            .find(|(kind, _)| message["type"] == **kind)
            .unwrap();
        for field in message["data"].as_object().unwrap().keys() {
            let is_known = COMMON.contains(&field.as_str()) || fields.contains(field);
            assert!(is_known, "{field}");
        }
        checked += 1;
    }
    assert_eq!(checked, 2);
}
