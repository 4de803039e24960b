use proptest::prelude::*;

use super::*;

const ACCOUNT: &str = "https://ca.example/acct/1";

/// A CA with two names.
fn with_issuer<T>(test: impl FnOnce(&CaaIssuer<'_>) -> T) -> T {
    test(&CaaIssuer {
        identities: &["first.example".to_owned(), "ca.example".to_owned()],
        account_url: ACCOUNT,
        validation_method: "http-01",
    })
}

fn host(text: &str) -> Hostname {
    Hostname::parse(text).unwrap()
}

fn lookup(name: &str, chain: &[&str], answer: CaaAnswer) -> CaaLookup {
    CaaLookup {
        name: name.to_owned(),
        chain: chain.iter().map(|&name| name.to_owned()).collect(),
        answer,
        ttl: None,
    }
}

fn observed(lookups: Vec<CaaLookup>) -> CaaObservation {
    CaaObservation {
        resolver: ([127, 0, 0, 1], 53).into(),
        lookups,
    }
}

fn judged(observations: &[CaaObservation]) -> CaaVerdict {
    let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
    with_issuer(|issuer| verdict(observations, issuer, &name, &target))
}

/// The verdict on records of `example.com`, each with its flags, tag and value.
fn of_records(records: &[(u8, &str, &str)]) -> CaaVerdict {
    let records = records
        .iter()
        .map(|(flags, tag, value)| CaaRecord::new(*flags, tag, value.as_bytes()));
    judged(&[observed(vec![
        lookup("shop.example.com", &[], CaaAnswer::None),
        lookup("example.com", &[], CaaAnswer::Records(records.collect())),
        lookup("com", &[], CaaAnswer::None),
    ])])
}

#[test]
fn an_issue_record_allows_only_the_authority_that_it_names() {
    for (records, reason) in [
        (&[(0, "issue", "ca.example")][..], None),
        (&[(0, "ISSUE", "CA.example")], None),
        (&[(0, "issue", " ca.example ; ")], None),
        (&[(128, "issue", "ca.example")], None),
        (
            &[(0, "issue", "other.example"), (0, "issue", "ca.example")],
            None,
        ),
        (&[(0, "iodef", "mailto:a@example.com")], None),
        // Names that are no wildcard go by `issue` alone.
        (&[(0, "issuewild", ";")], None),
        (&[(0, "unknown", "x")], None),
        (&[(0, "issue", ";")], Some(CaaReason::OtherAuthority)),
        (&[(0, "issue", "")], Some(CaaReason::OtherAuthority)),
        (
            &[(0, "issue", "other.example")],
            Some(CaaReason::OtherAuthority),
        ),
        (
            &[(0, "issue", "sub.ca.example")],
            Some(CaaReason::OtherAuthority),
        ),
        (
            &[(0, "issue", "ca.example accounturi=x")],
            Some(CaaReason::OtherAuthority),
        ),
        (
            &[(128, "unknown", "x"), (0, "issue", "ca.example")],
            Some(CaaReason::UnknownCriticalTag),
        ),
        (&[(1, "unknown", "x")], Some(CaaReason::UnknownCriticalTag)),
    ] {
        let found = match of_records(records) {
            CaaVerdict::Allowed => None,
            CaaVerdict::Forbidden {
                reason,
                owner,
                at_target,
                ..
            } => {
                assert_eq!((owner.as_str(), at_target), ("example.com", false));
                Some(reason)
            }
            other => panic!("{records:?}: {other:?}"),
        };
        assert_eq!(found, reason, "{records:?}");
    }
}

#[test]
fn account_and_method_of_a_record_must_be_ours() {
    let mine = format!("ca.example; accounturi={ACCOUNT}");
    let twice = format!("{mine}; accounturi={ACCOUNT}");
    let both = format!("{mine};validationmethods=dns-01,http-01");
    for (value, reason) in [
        (mine.as_str(), None),
        (&both, None),
        ("ca.example; VALIDATIONMETHODS=http-01", None),
        ("ca.example; policy=ev", None),
        (&twice, Some(CaaReason::OtherAccount)),
        (
            "ca.example; accounturi=https://ca.example/acct/2",
            Some(CaaReason::OtherAccount),
        ),
        ("ca.example; accounturi=", Some(CaaReason::OtherAccount)),
        (
            "ca.example; validationmethods=dns-01",
            Some(CaaReason::OtherMethod),
        ),
        (
            "ca.example; validationmethods=",
            Some(CaaReason::OtherMethod),
        ),
    ] {
        let found = match of_records(&[(0, "issue", value), (0, "issue", "other.example")]) {
            CaaVerdict::Allowed => None,
            CaaVerdict::Forbidden { record, reason, .. } => {
                assert_eq!(record, format!("0 issue \"{value}\""));
                Some(reason)
            }
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(found, reason, "{value}");
    }
}

#[test]
fn the_nearest_records_decide_and_those_behind_an_alias_come_before_those_above() {
    let forbids = || CaaAnswer::Records(vec![CaaRecord::new(0, "issue", b";")]);
    let allows = || CaaAnswer::Records(vec![CaaRecord::new(0, "issue", b"ca.example")]);
    let target = "edge.platform.net";
    let nearest = vec![
        lookup("shop.example.com", &["other.example", target], forbids()),
        lookup("example.com", &[], allows()),
    ];
    assert_eq!(
        judged(&[observed(nearest)]),
        CaaVerdict::Forbidden {
            owner: target.into(),
            record: "0 issue \";\"".into(),
            reason: CaaReason::OtherAuthority,
            at_target: true,
        }
    );
    let above = vec![
        lookup("shop.example.com", &[target], CaaAnswer::None),
        lookup("example.com", &[], allows()),
        lookup("com", &[], forbids()),
    ];
    assert_eq!(judged(&[observed(above)]), CaaVerdict::Allowed);
    let nowhere =
        ["shop.example.com", "example.com", "com"].map(|name| lookup(name, &[], CaaAnswer::None));
    assert_eq!(judged(&[observed(nowhere.into())]), CaaVerdict::Allowed);
}

#[test]
fn a_failed_look_up_is_the_customers_only_in_the_customers_zone_and_at_every_resolver() {
    // The other names have no records.
    let failed = |failing: &str, chain: &[&str], answer: DnsAnswer| {
        let names = ["shop.example.com", "example.com", "com"];
        observed(
            names
                .map(|name| match name {
                    _ if name == failing => lookup(name, chain, CaaAnswer::Failed(answer.clone())),
                    _ => lookup(name, &[], CaaAnswer::None),
                })
                .into(),
        )
    };
    let servfail = || failed("example.com", &[], DnsAnswer::ServFail);
    let detail = |text: &str, at_target| CaaVerdict::LookupFailed {
        detail: text.into(),
        at_target,
    };
    assert_eq!(
        judged(&[servfail()]),
        detail("example.com: server failure", false)
    );
    let none = observed(vec![lookup("example.com", &[], CaaAnswer::None)]);
    assert_eq!(judged(&[servfail(), none]), CaaVerdict::Allowed);
    let at_target = failed(
        "shop.example.com",
        &["edge.platform.net"],
        DnsAnswer::Timeout,
    );
    assert_eq!(
        judged(&[at_target]),
        detail("edge.platform.net: no answer", true)
    );
    for (name, answer) in [
        ("com", DnsAnswer::ServFail),
        ("example.com", DnsAnswer::Refused),
        (
            "example.com",
            DnsAnswer::Local {
                detail: "EMFILE".into(),
            },
        ),
    ] {
        assert_eq!(
            judged(&[failed(name, &[], answer)]),
            CaaVerdict::Inconclusive
        );
    }
    assert_eq!(judged(&[]), CaaVerdict::Inconclusive);
    // A resolver that fails for every name does not look up CAA records at all.
    let deaf = ["shop.example.com", "example.com", "com"]
        .map(|name| lookup(name, &[], CaaAnswer::Failed(DnsAnswer::Timeout)));
    assert_eq!(judged(&[observed(deaf.into())]), CaaVerdict::Inconclusive);
}

#[test]
fn one_resolver_that_sees_the_ca_allowed_is_enough() {
    let seen = |value: &str| {
        let records = vec![CaaRecord::new(0, "issue", value.as_bytes())];
        observed(vec![lookup(
            "example.com",
            &[],
            CaaAnswer::Records(records),
        )])
    };
    let both = judged(&[seen(";"), seen("ca.example")]);
    assert_eq!(both, CaaVerdict::Allowed);
    assert_eq!(
        judged(&[seen("other.example"), seen("first.example")]),
        CaaVerdict::Allowed
    );
    let refused = judged(&[seen(";"), seen("other.example")]);
    assert!(
        matches!(refused, CaaVerdict::Forbidden { .. }),
        "{refused:?}"
    );
}

/// The verdict of one resolver that finds `remembered` at `example.com`, and the same with the
/// answers of authoritative servers.
fn with_source(remembered: CaaAnswer, servers: &[Vec<CaaLookup>]) -> (CaaVerdict, CaaVerdict) {
    let recursive = [observed(vec![
        lookup("shop.example.com", &[], CaaAnswer::None),
        lookup("example.com", &[], remembered),
        lookup("com", &[], CaaAnswer::None),
    ])];
    let before = judged(&recursive);
    assert!(before.may_be_outdated(&recursive), "{before:?}");
    let above = observed(vec![lookup("com", &[], CaaAnswer::None)]);
    let servers = servers.iter().cloned().map(observed).chain([above]);
    let (name, target) = (host("shop.example.com"), host("edge.platform.net"));
    let after = with_issuer(|issuer| {
        let seen: Vec<CaaObservation> = servers.collect();
        before
            .clone()
            .with_authoritative(&seen, issuer, &name, &target)
    });
    (before, after)
}

fn issue(value: &str) -> CaaAnswer {
    CaaAnswer::Records(vec![CaaRecord::new(0, "issue", value.as_bytes())])
}

/// The answers of one server about the two names of a zone.
fn of_zone(of_shop: CaaAnswer, of_apex: CaaAnswer) -> Vec<CaaLookup> {
    vec![
        lookup("shop.example.com", &[], of_shop),
        lookup("example.com", &[], of_apex),
    ]
}

#[test]
fn servers_that_all_allow_the_ca_prevail_over_what_resolvers_remember() {
    let failed = || CaaAnswer::Failed(DnsAnswer::Timeout);
    for remembered in [
        issue("other.example"),
        CaaAnswer::Failed(DnsAnswer::ServFail),
    ] {
        for servers in [
            vec![of_zone(CaaAnswer::None, issue("ca.example"))],
            // The record is gone.
            vec![of_zone(CaaAnswer::None, CaaAnswer::None)],
            // A nearer set comes first, whatever stands above.
            vec![of_zone(issue("ca.example"), issue("other.example"))],
            // Servers without an answer do not count.
            vec![
                of_zone(failed(), failed()),
                of_zone(CaaAnswer::None, issue("ca.example")),
            ],
            // Each name is in a zone of its own.
            vec![
                vec![lookup("shop.example.com", &[], CaaAnswer::None)],
                vec![lookup("example.com", &[], issue("ca.example"))],
            ],
        ] {
            let (_, after) = with_source(remembered.clone(), &servers);
            assert_eq!(after, CaaVerdict::Allowed, "{servers:?}");
        }
    }
}

#[test]
fn one_server_that_forbids_the_ca_is_enough_and_its_record_is_reported() {
    for servers in [
        vec![of_zone(CaaAnswer::None, issue("new.example"))],
        vec![
            of_zone(CaaAnswer::None, issue("ca.example")),
            of_zone(CaaAnswer::None, issue("new.example")),
        ],
        // One has a nearer set already, the other goes by the one above.
        vec![
            of_zone(issue("ca.example"), issue("new.example")),
            of_zone(CaaAnswer::None, issue("new.example")),
        ],
    ] {
        let (_, after) = with_source(issue("old.example"), &servers);
        let CaaVerdict::Forbidden { record, owner, .. } = after else {
            panic!("{after:?}")
        };
        assert_eq!(record, "0 issue \"new.example\"");
        assert_eq!(owner, "example.com");
    }
}

#[test]
fn a_name_that_no_server_answers_for_changes_nothing() {
    let failed = CaaAnswer::Failed(DnsAnswer::Refused);
    for servers in [
        vec![],
        vec![of_zone(failed.clone(), issue("ca.example"))],
        vec![of_zone(CaaAnswer::None, failed)],
        vec![vec![lookup("example.com", &[], issue("ca.example"))]],
    ] {
        let (before, after) = with_source(issue("other.example"), &servers);
        assert_eq!(before, after, "{servers:?}");
    }
}

#[test]
fn invalid_signatures_and_verdicts_for_the_ca_are_not_taken_to_the_source() {
    let seen = |answer| {
        observed(vec![
            lookup("example.com", &[], answer),
            lookup("com", &[], CaaAnswer::None),
        ])
    };
    let bogus = || seen(CaaAnswer::Failed(DnsAnswer::Bogus));
    for observations in [
        vec![bogus()],
        vec![seen(issue("other.example")), bogus()],
        vec![seen(CaaAnswer::None)],
        vec![],
    ] {
        let verdict = judged(&observations);
        assert!(!verdict.may_be_outdated(&observations), "{verdict:?}");
    }
}

proptest! {
    #[test]
    fn no_value_of_a_record_breaks_the_check_or_allows_another_authority(value in any::<Vec<u8>>()) {
        let record = CaaRecord::new(0, "issue", &value);
        let text = String::from_utf8_lossy(&value).to_ascii_lowercase();
        if with_issuer(|issuer| judge(std::slice::from_ref(&record), issuer).is_ok()) {
            prop_assert!(text.contains("ca.example") || text.contains("first.example"));
        }
        prop_assert!(record.to_string().chars().count() <= 200);
    }
}

#[test]
fn the_record_that_is_suggested_allows_our_account_and_no_other_issuer() {
    let suggested = safest_record(&host("shop.example.com"), "ca.example", ACCOUNT);
    let (record, zone) = suggested.split_once(" in the zone ").unwrap();
    assert_eq!(zone, "example.com");
    let value = record
        .strip_prefix("@ CAA 0 issue ")
        .unwrap()
        .trim_matches('"');
    assert_eq!(of_records(&[(0, "issue", value)]), CaaVerdict::Allowed);
    let other = value.replace(ACCOUNT, "https://ca.example/acct/2");
    assert_ne!(of_records(&[(0, "issue", &other)]), CaaVerdict::Allowed);
}
