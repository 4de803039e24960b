//! `dps-simulate`: the service in virtual time, as an operator runs it.

use std::path::Path;
use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dps-simulate"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn written(directory: &Path, arguments: &[&str]) -> [Vec<u8>; 3] {
    let out = directory.display().to_string();
    let played = simulate(&[arguments, &["--out", &out]].concat());
    assert!(
        played.status.success(),
        "{}{}",
        text(&played.stdout),
        text(&played.stderr)
    );
    ["outcome.txt", "outcome.json", "outcome.svg"]
        .map(|file| std::fs::read(directory.join(file)).unwrap())
}

fn scenario(directory: &Path, json: &str) -> String {
    let path = directory.join("scenario.json");
    std::fs::write(&path, json).unwrap();
    path.display().to_string()
}

/// Two replicas, a CA that is away for hours and revokes a third of its certificates, edges that
/// restart, customers who leave. Two tenants claim some names.
const EVENTFUL: &str = r#"{
    "Title": "Everything at once",
    "Domains": 150,
    "Days": 8,
    "Tenants": 7,
    "NamesPerRegisteredDomain": 2,
    "Arrivals": { "Waves": 2, "Every": "1d", "EachLasts": "3h" },
    "Customers": {
        "Ready": 0.8, "DnsWithin": "12h", "Leave": 0.1, "LeaveFrom": "3d", "LeaveOver": "3d",
        "Contested": 0.2, "ContestedFrom": "27h", "ContestedOver": "4d",
    },
    "Ca": { "Lifetime": "160h", "Outages": { "At": ["2d"], "EachLasts": "8h" } },
    "Revocation": { "At": "5d", "Share": 0.3, "VoidAfter": "2d" },
    "Edges": { "Restarts": { "At": ["4d"] } },
    "Cabinet": { "Outages": { "At": ["5d"], "EachLasts": "6h" } },
    "Replicas": { "Count": 2, "CrashesAt": ["3h", "2d9h"] },
}"#;

#[test]
fn the_same_seed_gives_the_same_run_to_the_last_byte_and_another_seed_another() {
    let directory = tempfile::tempdir().unwrap();
    let file = scenario(directory.path(), EVENTFUL);
    let run = |name: &str, seed: &str| {
        written(
            &directory.path().join(name),
            &["--scenario", &file, "--seed", seed],
        )
    };
    let first = run("first", "7");
    assert_eq!(run("again", "7"), first);
    assert_ne!(run("other", "8")[1], first[1]);
    let [outcome, json, svg] = first.map(|bytes| text(&bytes));
    assert!(
        outcome.contains("Everything at once") && !outcome.contains("FAILED"),
        "{outcome}"
    );
    assert!(svg.starts_with("<svg") && svg.contains("CA away"), "{svg}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["good"], true);
    assert_eq!(json["hours"].as_array().unwrap().len(), 8 * 24);
}

#[test]
fn a_key_that_no_scenario_has_is_refused_with_the_nearest_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let file = scenario(
        directory.path(),
        r#"{ "Ca": { "Lifetimes": "45d" }, "Days": 0 }"#,
    );
    let refused = simulate(&["--scenario", &file]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("Ca:Lifetime"),
        "{}",
        text(&refused.stderr)
    );
    let file = scenario(directory.path(), r#"{ "Days": 0 }"#);
    let refused = simulate(&["--scenario", &file]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("Days is 0"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn a_run_in_which_something_failed_ends_with_exit_code_1_and_says_what() {
    let directory = tempfile::tempdir().unwrap();
    // No service can replace certificates at a CA that is away until they are void.
    let hopeless = r#"{
        "Domains": 50, "Days": 6,
        "Arrivals": { "EachLasts": "1h" },
        "Ca": { "Lifetime": "160h", "Outages": { "At": ["2d"], "EachLasts": "3d" } },
        "Revocation": { "At": "2d", "Share": 1.0, "VoidAfter": "1d" },
    }"#;
    let file = scenario(directory.path(), hopeless);
    let failed = simulate(&["--scenario", &file]);
    assert_eq!(failed.status.code(), Some(1));
    let outcome = text(&failed.stdout);
    assert!(
        outcome.contains("FAILED  every revoked certificate"),
        "{outcome}"
    );
}

/// No notification comes for a domain whose next check is due by time alone. It is checked although
/// others of the pool are busy all the while.
#[test]
fn a_domain_that_waits_for_its_customer_is_checked_in_time_while_others_are_issued_without_a_pause()
{
    let directory = tempfile::tempdir().unwrap();
    let busy = r#"{
        "Domains": 3000, "Days": 1,
        "Arrivals": { "EachLasts": "12h" },
        "Customers": { "Ready": 0.8, "DnsWithin": "1d" },
    }"#;
    let file = scenario(directory.path(), busy);
    let [_, json, _] = written(directory.path(), &["--scenario", &file]);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for hour in json["hours"].as_array().unwrap() {
        let waited = hour["waitingSeconds"]["chronic"].as_u64().unwrap();
        assert!(waited <= 120, "{hour}");
    }
}

/// Every scenario that is shipped is one that can be used.
#[test]
fn every_shipped_scenario_can_be_read_and_runs() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let played = simulate(&["--scenario", &file, "--domains", "20", "--days", "1"]);
        assert!(played.status.success(), "{file}: {}", text(&played.stdout));
    }
}

#[test]
fn the_rows_of_a_domain_stay_within_their_bounds_for_a_year() {
    let year = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/scenarios/a-million-for-a-year.json"
    );
    let played = simulate(&["--scenario", year, "--domains", "24"]);
    let outcome = text(&played.stdout);
    assert!(played.status.success(), "{outcome}");
    let rule = "holds   rows per domain stay within a bound in every table: ";
    let bounded = outcome.lines().find_map(|line| line.strip_prefix(rule));
    let tables = bounded.unwrap().split(", ").count();
    assert_eq!(tables, 11, "{outcome}");
}
