//! The customers' sentences, each beside its failure code, as `docs/reference/failures.md` shows
//! them.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::{env, fs};

use dps_domain::caa::CaaReason;
use dps_domain::failure::{Actor, Failure, FailureCode, WantedRecords, internal_message};
use dps_domain::ownership::ProofValue;
use dps_domain::{Hostname, NameRules, Timestamp};

/// Set to any value, this variable makes the test write the page instead of comparing it.
const REWRITE: &str = "DPS_REWRITE_SENTENCES";

const HEAD: &str = "# Failure codes and customers' sentences

Each failure has one code, in the Cabinet, the API, the commands, the logs and the metrics. The
*actor* is the party who must act: the customer, the operator, or nobody. A test compares this page with
the code; `DPS_REWRITE_SENTENCES=1 cargo test -p dps-domain --test sentences` writes it.

The examples are the domain `shop.example.com`, or `example.com` at the top of a zone, with the target
`edge.platform.net`.
";

/// Texts that are no hostname, one for each reason.
const NOT_A_HOSTNAME: [&str; 10] = [
    "",
    "https://shop.example.com/",
    "8.8.8.8",
    "*.example.com",
    "a-label-of-more-than-63-octets-a-label-of-more-than-63-octets-aa.example.com",
    "my_shop.example.com",
    "xn--zzzzzzz999.example",
    "localhost",
    "a.b.c.d.e.f.g.h.i.example.com",
    "co.uk",
];

/// A failure, the circumstances that change its sentence, and the sentence.
struct Case {
    failure: Failure,
    circumstances: String,
    sentence: String,
}

/// The domain about which a sentence is.
#[derive(Clone, Copy)]
enum Subject {
    Subdomain,
    Apex,
    ApexWithoutAddresses,
    UnknownCaaIdentity,
}

fn case(circumstances: &str, subject: Subject, failure: Failure) -> Case {
    let apex = matches!(subject, Subject::Apex | Subject::ApexWithoutAddresses);
    let name = if apex {
        "example.com"
    } else {
        "shop.example.com"
    };
    let hostname = Hostname::parse(name).unwrap();
    let cname_target = Hostname::parse("edge.platform.net").unwrap();
    let edges = [ip("203.0.113.7"), ip("2001:db8::7")];
    let value = ProofValue::new([0x5e; 16]);
    let sentence = failure.message(&WantedRecords {
        hostname: &hostname,
        cname_target: &cname_target,
        edge_addresses: match subject {
            Subject::ApexWithoutAddresses => &[],
            _ => &edges,
        },
        caa_identity: match subject {
            Subject::UnknownCaaIdentity => None,
            _ => Some("ca.example"),
        },
        proof: matches!(failure, Failure::DnsOwnershipRequired { .. }).then_some(&value),
    });
    Case {
        failure,
        circumstances: circumstances.to_owned(),
        sentence,
    }
}

fn sub(circumstances: &str, failure: Failure) -> Case {
    case(circumstances, Subject::Subdomain, failure)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn no_cname(addresses: &[&str], more: usize, is_zone: bool) -> Failure {
    Failure::DnsNoCname {
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        more,
        is_zone,
    }
}

fn resolver() -> Vec<SocketAddr> {
    vec!["192.0.2.53:53".parse().unwrap()]
}

fn cdn_in_front(cdn: &str, answer: Option<&str>) -> Failure {
    Failure::CdnInFront {
        cdn: cdn.to_owned(),
        addresses: vec![ip("192.0.2.1")],
        more: 0,
        answer: answer.map(str::to_owned),
    }
}

fn propagating(until: Option<Timestamp>) -> Failure {
    Failure::DnsPropagating {
        seen_by: resolver(),
        missing_at: resolver(),
        until,
    }
}

fn wrong_target(chain: &[&str], addresses: &[&str]) -> Failure {
    Failure::DnsWrongTarget {
        chain: texts(chain),
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        more: 0,
    }
}

fn validation(sub_cause: &str, detail: &str) -> Failure {
    Failure::AcmeValidationFailed {
        sub_cause: sub_cause.to_owned(),
        detail: detail.to_owned(),
        reached_by_us: false,
    }
}

fn ownership_required(contested: bool) -> Failure {
    Failure::DnsOwnershipRequired {
        name: "_dps-challenge.shop.example.com".into(),
        contested,
    }
}

fn names() -> Vec<Case> {
    let invalid = NOT_A_HOSTNAME.iter().map(|text| {
        let reason = Hostname::parse(text).unwrap_err().to_string();
        sub(&format!("`{text}`"), Failure::NameInvalid { reason })
    });
    let hostname = Hostname::parse("shop.example.com").unwrap();
    let target = Hostname::parse("edge.example.com").unwrap();
    let blocked = NameRules::default().refusal(&hostname, &target).unwrap();
    let refused_target = Failure::TargetNotAllowed {
        target: "edge.elsewhere.example".into(),
        reason: String::new(),
    };
    invalid
        .chain([
            sub("", blocked),
            sub("", Failure::NameAlreadyClaimed { proven: false }),
            sub(
                "if the other account proved it",
                Failure::NameAlreadyClaimed { proven: true },
            ),
            sub("", refused_target),
        ])
        .collect()
}

fn dns_records() -> Vec<Case> {
    use Subject::{Apex, ApexWithoutAddresses};
    let apex_elsewhere = wrong_target(&[], &["192.0.2.1"]);
    let at_top = "at the top of a zone";
    vec![
        sub("", Failure::DnsNxdomain {}),
        case(at_top, Apex, Failure::DnsNxdomain {}),
        case(
            "at the top, edge addresses unknown",
            ApexWithoutAddresses,
            Failure::DnsNxdomain {},
        ),
        sub("no address", no_cname(&[], 0, false)),
        sub("one address", no_cname(&["192.0.2.1"], 0, false)),
        sub(
            "several addresses",
            no_cname(&["192.0.2.1", "192.0.2.2"], 3, false),
        ),
        sub("a zone of its own", no_cname(&[], 0, true)),
        sub(
            "a zone of its own, one address",
            no_cname(&["192.0.2.1"], 0, true),
        ),
        case("at the top, no address", Apex, no_cname(&[], 0, false)),
        sub("CNAME", wrong_target(&["old.example.org"], &[])),
        case("one address at the top", Apex, apex_elsewhere.clone()),
        case(
            "edge addresses unknown",
            ApexWithoutAddresses,
            apex_elsewhere.clone(),
        ),
        sub(
            "one address",
            Failure::DnsStrayAddress {
                stray: vec![ip("192.0.2.1")],
                more: 0,
            },
        ),
        sub(
            "several addresses",
            Failure::DnsStrayAddress {
                stray: vec![ip("192.0.2.1")],
                more: 2,
            },
        ),
        sub(
            "CNAME",
            Failure::DnsMoved {
                cause: Box::new(wrong_target(&["old.example.org"], &[])),
            },
        ),
        case(
            "one address at the top",
            Apex,
            Failure::DnsMoved {
                cause: Box::new(apex_elsewhere),
            },
        ),
    ]
}

fn dns_lookups() -> Vec<Case> {
    vec![
        sub(
            "loop",
            Failure::DnsCnameLoop {
                chain: texts(&["a.example.com", "shop.example.com"]),
            },
        ),
        sub(
            "too long",
            Failure::DnsCnameLoop {
                chain: texts(&["a.example.com", "…", "i.example.com"]),
            },
        ),
        sub(
            "everywhere",
            Failure::DnsServfail {
                resolvers: resolver(),
                seen_by: vec![],
                txt_name: String::new(),
            },
        ),
        sub(
            "for the TXT record alone",
            Failure::DnsServfail {
                resolvers: resolver(),
                seen_by: vec![],
                txt_name: "_dps-challenge.shop.example.com".into(),
            },
        ),
        sub(
            "at some resolvers",
            Failure::DnsServfail {
                resolvers: resolver(),
                seen_by: resolver(),
                txt_name: String::new(),
            },
        ),
        sub(
            "",
            Failure::DnsDnssecBogus {
                resolvers: resolver(),
                seen_by: vec![],
                name: String::new(),
            },
        ),
        sub(
            "behind a CNAME",
            Failure::DnsDnssecBogus {
                resolvers: resolver(),
                seen_by: vec![],
                name: "shops.example.net".into(),
            },
        ),
        sub(
            "at the domain's servers",
            Failure::DnsTimeout {
                resolvers: resolver(),
                resolver_outage: false,
                txt_name: String::new(),
            },
        ),
        sub(
            "for the TXT record alone",
            Failure::DnsTimeout {
                resolvers: resolver(),
                resolver_outage: false,
                txt_name: "_dps-challenge.shop.example.com".into(),
            },
        ),
        sub(
            "at our resolvers",
            Failure::DnsTimeout {
                resolvers: resolver(),
                resolver_outage: true,
                txt_name: String::new(),
            },
        ),
        sub("", ownership_required(false)),
        sub("if the name is contested", ownership_required(true)),
        case(
            "at the top of a zone",
            Subject::Apex,
            ownership_required(false),
        ),
        sub("known, at the DNS check", cdn_in_front("Cloudflare", None)),
        sub(
            "known, at the HTTP probe",
            cdn_in_front("Cloudflare", Some("status 403")),
        ),
        sub(
            "a proxy of the operator's list",
            cdn_in_front("a proxy", None),
        ),
        sub("end unknown", propagating(None)),
        sub(
            "end known",
            propagating(Some(Timestamp::from_unix_seconds(1_800_000_000))),
        ),
    ]
}

fn http() -> Vec<Case> {
    let address = ip("192.0.2.1");
    let wrong_responder = |server: Option<&str>| Failure::HttpWrongResponder {
        address,
        server: server.map(str::to_owned),
    };
    let redirect = |location: Option<&str>| Failure::HttpRedirect {
        address,
        status: 301,
        location: location.map(str::to_owned),
    };
    vec![
        sub("", Failure::HttpRefused { address }),
        sub("", Failure::HttpTimeout { address }),
        sub("server named", wrong_responder(Some("nginx"))),
        sub("server unknown", wrong_responder(None)),
        sub(
            "",
            Failure::HttpStatus {
                address,
                status: 404,
            },
        ),
        sub(
            "location named",
            redirect(Some("https://shop.example.com/")),
        ),
        sub("location unknown", redirect(None)),
        sub(
            "",
            Failure::HttpAddressForbidden {
                address: ip("192.168.1.1"),
                kind: "private".into(),
            },
        ),
    ]
}

fn ca() -> Vec<Case> {
    use Subject::UnknownCaaIdentity;
    let found = |record: &str, owner: &str, reason| Failure::CaaForbids {
        record: record.to_owned(),
        owner: owner.to_owned(),
        reason,
        account_url: (reason == CaaReason::OtherAccount)
            .then(|| "https://ca.example/acct/1".to_owned()),
    };
    let other = "0 issue \"other.example\"";
    let forbids = || found(other, "example.com", CaaReason::OtherAuthority);
    let account = "0 issue \"ca.example; accounturi=https://ca.example/acct/2\"";
    let method = "0 issue \"ca.example; validationmethods=dns-01\"";
    let caa = || validation("caa", "CAA record prevents issuance");
    let split = Failure::AcmeValidationFailed {
        sub_cause: "connection".to_owned(),
        detail: "192.0.2.1: Connection refused".to_owned(),
        reached_by_us: true,
    };
    let limited = |until| Failure::AcmeRateLimited {
        until,
        detail: "too many certificates".into(),
    };
    let paused = |url: Option<&str>| Failure::AcmePaused {
        unpause_url: url.map(str::to_owned),
        detail: "paused".into(),
    };
    let rejected = |detail: &str| Failure::AcmeRejectedIdentifier {
        detail: detail.to_owned(),
    };
    let detail = String::new;
    let noon = "2027-01-31T12:00:00Z".parse::<Timestamp>().unwrap();
    vec![
        sub("another authority", forbids()),
        case(
            "another authority, CA's name unknown",
            UnknownCaaIdentity,
            forbids(),
        ),
        sub(
            "records of the name itself",
            found(other, "shop.example.com", CaaReason::OtherAuthority),
        ),
        sub(
            "records behind a CNAME",
            found(other, "shops.example.net", CaaReason::OtherAuthority),
        ),
        sub(
            "records above the zone",
            found(other, "com", CaaReason::OtherAuthority),
        ),
        sub(
            "stored without the owner",
            found(other, "", CaaReason::OtherAuthority),
        ),
        sub(
            "another account",
            found(account, "example.com", CaaReason::OtherAccount),
        ),
        sub(
            "another method",
            found(method, "example.com", CaaReason::OtherMethod),
        ),
        sub(
            "unknown critical tag",
            found(
                "128 tbs \"x\"",
                "example.com",
                CaaReason::UnknownCriticalTag,
            ),
        ),
        sub(
            "",
            Failure::CaaLookupFailed {
                detail: "example.com: no answer".into(),
            },
        ),
        sub("until a known time", limited(Some(noon))),
        sub("until an unknown time", limited(None)),
        sub("", Failure::IssuancePaused {}),
        sub("URL known", paused(Some("https://ca.example/unpause"))),
        sub("URL unknown", paused(None)),
        sub(
            "reason given",
            rejected("The identifier is forbidden by policy."),
        ),
        sub("no reason given", rejected("")),
        sub("CAA", caa()),
        case("CAA, CA's name unknown", UnknownCaaIdentity, caa()),
        sub(
            "other",
            validation("connection", "192.0.2.1: Connection refused"),
        ),
        sub("our own probe passes", split),
        sub("", Failure::AcmeCaUnavailable { detail: detail() }),
        sub("", Failure::AcmeAccount { detail: detail() }),
    ]
}

fn ours() -> Vec<Case> {
    let edge = || "https://edge-1.platform.net:8443/".to_owned();
    let detail = String::new;
    let internal = || Failure::Internal { detail: detail() };
    vec![
        sub(
            "",
            Failure::EdgeUnreachable {
                edge: edge(),
                detail: detail(),
            },
        ),
        sub(
            "",
            Failure::EdgeRejected {
                edge: edge(),
                reason: detail(),
            },
        ),
        sub(
            "",
            Failure::EdgeMismatch {
                edge: edge(),
                detail: detail(),
            },
        ),
        sub("", internal()),
        Case {
            failure: internal(),
            circumstances: "unreadable record".to_owned(),
            sentence: internal_message(None),
        },
    ]
}

fn page() -> String {
    let cases: Vec<Case> = [names(), dns_records(), dns_lookups(), http(), ca(), ours()]
        .into_iter()
        .flatten()
        .collect();
    let mut page = HEAD.to_owned();
    for &code in FailureCode::ALL {
        let of_code: Vec<&Case> = cases
            .iter()
            .filter(|case| case.failure.code() == code)
            .collect();
        assert!(!of_code.is_empty(), "{code} has no sentence on the page");
        write!(
            page,
            "\n## `{code}`\n\n| Case | Actor | Retried | Sentence |\n| --- | --- | --- | --- |\n"
        )
        .unwrap();
        for case in of_code {
            let actor = match case.failure.actor() {
                Actor::Customer => "customer",
                Actor::Operator => "operator",
                Actor::Nobody => "nobody",
            };
            let retried = if case.failure.is_retryable() {
                "yes"
            } else {
                "no"
            };
            let circumstances = match case.circumstances.as_str() {
                "" => "any",
                circumstances => circumstances,
            };
            assert!(!case.sentence.contains(['|', '\n']), "{}", case.sentence);
            writeln!(
                page,
                "| {circumstances} | {actor} | {retried} | {} |",
                case.sentence
            )
            .unwrap();
        }
    }
    page
}

#[test]
fn every_code_and_case_has_the_sentence_on_the_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/failures.md");
    let page = page();
    if env::var_os(REWRITE).is_some() {
        fs::write(path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(path).unwrap();
    for (written, made) in written.lines().zip(page.lines()) {
        assert_eq!(
            written, made,
            "run this test with {REWRITE}=1 if this is meant"
        );
    }
    assert_eq!(written, page);
}

#[test]
fn each_reason_why_a_text_is_no_hostname_is_on_the_page() {
    let mut reasons: Vec<String> = NOT_A_HOSTNAME
        .iter()
        .map(|text| format!("{:?}", Hostname::parse(text).unwrap_err()))
        .collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), NOT_A_HOSTNAME.len(), "{reasons:?}");
}
