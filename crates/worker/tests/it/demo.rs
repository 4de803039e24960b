//! `dps demo --once --json`, as a program would run it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_demo_shows_what_it_promises_ends_with_one_json_object_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    // Everything that the demo starts inherits this.
    let mark = format!("DPS_E2E_MARK={}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dps"))
        .args(["demo", "--once", "--json"])
        .env("TMPDIR", temporary.path())
        .env(name, value)
        .current_dir(temporary.path())
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();

    let domains: HashMap<&str, &Value> = last["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|domain| (domain["host"].as_str().unwrap(), domain))
        .collect();
    assert_eq!(domains.len(), 6, "{last}");
    for host in [
        "shop.bakery.test",
        "winery.test",
        "www.xn--bcher-kva.test",
        "blog.florist.test",
    ] {
        let domain = domains[host];
        assert_eq!(
            (&domain["status"], &domain["code"]),
            (&"Active".into(), &Value::Null),
            "{domain}"
        );
        assert!(domain["seconds_to_active"].as_f64().unwrap() > 0.0, "{domain}");
        assert!(is_fingerprint(&domain["fingerprint"]), "{domain}");
    }
    for (host, status, code) in [
        ("www.nowhere.test", "PendingDns", "DNS_NXDOMAIN"),
        ("museum.test", "PendingHttpProbe", "HTTP_WRONG_RESPONDER"),
    ] {
        let domain = domains[host];
        assert_eq!(
            (&domain["status"], &domain["code"]),
            (&status.into(), &code.into()),
            "{domain}"
        );
        assert!(
            domain["seconds_to_active"].is_null() && domain["fingerprint"].is_null(),
            "{domain}"
        );
    }
    // The mended mistake was shown before it was mended.
    assert!(out.contains("DNS_WRONG_TARGET"), "{out}");
    let renewal = &last["renewal"];
    assert_eq!(renewal["failed_handshakes"], 0, "{renewal}");
    assert!(is_fingerprint(&renewal["old_fingerprint"]) && is_fingerprint(&renewal["new_fingerprint"]));
    assert_ne!(renewal["old_fingerprint"], renewal["new_fingerprint"]);
    let host = renewal["host"].as_str().unwrap();
    assert_eq!(domains[host]["fingerprint"], renewal["new_fingerprint"]);

    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let running = processes_with(&mark);
    assert!(running.is_empty(), "still running: {running:?}");
}

/// SHA-256 in hexadecimal.
fn is_fingerprint(value: &Value) -> bool {
    let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    value.as_str().is_some_and(is_hex)
}

/// The command lines of all processes whose environment has `entry`.
fn processes_with(entry: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|process| process.path());
    let marked = |process: &Path| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|found| found == entry.as_bytes())
    };
    let line = |process: &Path| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    };
    processes
        .filter(|process| marked(process))
        .map(|process| line(&process))
        .collect()
}
