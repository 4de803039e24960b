//! `dps demo`: with `--once --json` as a program would run it, and as a newcomer does who types
//! what README and demo say.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use dps_lab::process::ProcessSpec;
use dps_lab::wait;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::world::TIMEOUT;

#[tokio::test]
async fn the_demo_shows_what_it_promises_ends_with_one_json_object_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let _alone = alone().await;
    // Everything that the demo starts inherits this.
    let mark = format!("DPS_E2E_MARK=once-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dps"))
        .args(["demo", "--once", "--json", "--fault", "ca-503"])
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
        assert!(
            domain["seconds_to_active"].as_f64().unwrap() > 0.0,
            "{domain}"
        );
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
    assert!(
        is_fingerprint(&renewal["old_fingerprint"]) && is_fingerprint(&renewal["new_fingerprint"])
    );
    assert_ne!(renewal["old_fingerprint"], renewal["new_fingerprint"]);
    let host = renewal["host"].as_str().unwrap();
    assert_eq!(domains[host]["fingerprint"], renewal["new_fingerprint"]);

    let after_fault = out.split_once("The fault is over").unwrap().1;
    assert!(after_fault.contains("are served"), "{out}");

    nothing_is_left(temporary.path(), &mark);
}

const README: &str = include_str!("../../../../README.md");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_who_types_what_readme_and_demo_say_gets_what_they_promise_and_ctrl_c_cleans_up()
{
    let temporary = tempfile::tempdir().unwrap();
    let logs = tempfile::tempdir().unwrap();
    let _alone = alone().await;
    let mark = format!("DPS_E2E_MARK=stays-{}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut demo = ProcessSpec::new(
        "dps demo",
        env!("CARGO_BIN_EXE_dps"),
        logs.path().join("demo.log"),
    )
    .args(["demo", "--domains", "24"])
    .env("TMPDIR", temporary.path())
    .env(name, value)
    .directory(temporary.path())
    .start()
    .unwrap();
    demo.wait_for_log("Ctrl-C ends it", TIMEOUT * 2)
        .await
        .unwrap();
    let said = demo.log_text();
    // The fleet is counted from time to time.
    let counted = wait::until("the causes of the fleet", TIMEOUT, || async {
        Some(causes_on(&said)).filter(|causes| causes == &CAUSES)
    });
    if let Err(error) = counted.await {
        panic!("{error}: {:?}", causes_on(&said));
    }
    let commands = commands_of_readme(&said);
    let [break_dns, add, read, mend_dns] = commands.as_slice() else {
        panic!("README has other commands than this test knows: {commands:#?}");
    };
    typed(break_dns);
    typed(add);
    let broken = seen(read, |domain| domain["lastErrorCode"] == "DNS_WRONG_TARGET").await;
    assert_eq!(broken["status"], "PendingDns", "{broken}");
    let sentence = broken["lastErrorMessage"].as_str().unwrap();
    let target = broken["cnameTarget"].as_str().unwrap();
    assert!(
        target.ends_with(".customers.platform.test") && sentence.contains(target),
        "{sentence}"
    );
    typed(&mend_dns.replace("TARGET", target));
    seen(read, |domain| domain["status"] == "Active").await;

    let mut printed = said.lines().map(str::trim);
    let visit = printed
        .rfind(|line| line.starts_with("curl --cacert"))
        .unwrap();
    assert!(typed(visit).contains("Hello"));
    assert!(typed(&visit.replace("shop.bakery.test", "second.demo.test")).contains("Hello"));

    demo.signal("INT").unwrap();
    let status = demo.wait_for_exit(TIMEOUT).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", demo.log_tail());
    nothing_is_left(temporary.path(), &mark);
}

/// The causes of a fleet in every state.
const CAUSES: [&str; 9] = [
    "CAA_FORBIDS",
    "DNS_MOVED",
    "DNS_NXDOMAIN",
    "DNS_OWNERSHIP_REQUIRED",
    "DNS_SERVFAIL",
    "DNS_STRAY_ADDRESS",
    "DNS_WRONG_TARGET",
    "HTTP_WRONG_RESPONDER",
    "ISSUANCE_PAUSED",
];

/// The causes that the admin API at the printed address counts now, in their order.
fn causes_on(said: &str) -> Vec<String> {
    let (_, line) = said.split_once("Dashboard: ").unwrap();
    let (url, line) = line.split_once(' ').unwrap();
    let (_, line) = line.split_once("the token ").unwrap();
    let (token, _) = line.split_once(')').unwrap();
    let command = format!("curl -H 'Authorization: Bearer {token}' {url}admin/v1/fleet");
    let fleet: Value = serde_json::from_str(&typed(&command)).unwrap();
    let causes = fleet["causes"].as_array().unwrap();
    let mut codes: Vec<String> = causes
        .iter()
        .map(|cause| cause["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort();
    codes
}

/// The commands of the README for the second terminal, with the demo's ports.
fn commands_of_readme(said: &str) -> Vec<String> {
    let port = |word: &str| {
        let line = said.lines().rfind(|line| line.starts_with(word)).unwrap();
        let url = line
            .split_whitespace()
            .find(|part| part.starts_with("http://"));
        url.unwrap().parse::<url::Url>().unwrap().port().unwrap()
    };
    let (desk, cabinet) = (
        format!(":{}", port("DNS desk")),
        format!(":{}", port("Cabinet")),
    );
    let (_, text) = README.split_once("\n## See it").unwrap();
    let (text, _) = text.split_once("\n## ").unwrap();
    let text = text.replace("\\\n", " ");
    let commands = text.lines().filter_map(|line| line.strip_prefix("$ "));
    let curls = commands.filter(|command| command.starts_with("curl "));
    curls
        .map(|command| command.replace(":8053", &desk).replace(":8081", &cabinet))
        .collect()
}

/// Types a `curl` line into a shell, which must succeed; answers what it printed.
fn typed(command: &str) -> String {
    let command = command.replacen(
        "curl ",
        "curl --silent --show-error --fail --noproxy '*' ",
        1,
    );
    let output = Command::new("bash")
        .args(["-c", &command])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Types a command again and again until it shows one domain as wanted.
async fn seen(command: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let read = wait::until("the domain as promised", TIMEOUT, || async {
        let page: Value = serde_json::from_str(&typed(command)).unwrap();
        Some(page["items"][0].clone()).filter(&wanted)
    });
    match read.await {
        Ok(domain) => domain,
        Err(error) => panic!("{error}: {}", typed(command)),
    }
}

/// One demo at a time, since two would want the same usual ports.
async fn alone() -> MutexGuard<'static, ()> {
    static DEMO: Mutex<()> = Mutex::const_new(());
    DEMO.lock().await
}

fn nothing_is_left(temporary: &Path, mark: &str) {
    let left: Vec<_> = std::fs::read_dir(temporary).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let running = processes_with(mark);
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
