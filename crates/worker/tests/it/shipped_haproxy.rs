//! The HAProxy configuration that we ship publishes no interface of ours.

use std::net::SocketAddr;
use std::process::Command;

use dps_lab::haproxy::haproxy;
use dps_worker::config::Settings;
use serde_json::Value;

use crate::world::{Options, World};

const SHIPPED: &str = include_str!("../../../../deploy/haproxy/haproxy.cfg");
const CONTRACT: &str = include_str!("../../../../docs/openapi/cabinet-v1.json");

/// The paths that it denies.
fn denied() -> Vec<&'static str> {
    let rule = "http-request deny deny_status 404 if { path_beg ";
    let line = SHIPPED
        .lines()
        .find_map(|line| line.trim().strip_prefix(rule));
    let paths = line
        .and_then(|line| line.strip_suffix(" }"))
        .expect("the rule");
    paths.split(' ').collect()
}

#[test]
fn no_backend_but_that_of_the_challenges_names_a_port_of_ours() {
    let defaults = Settings::default();
    let ours = [
        defaults.http.listen,
        defaults.cabinet.listen,
        defaults.agent.listen,
        defaults.agent.tls.listen,
    ];
    let mut backend = "";
    let mut servers = 0;
    for line in SHIPPED.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("backend ") {
            backend = name;
        }
        let Some(server) = line.strip_prefix("server ") else {
            continue;
        };
        servers += 1;
        let address: SocketAddr = server.split(' ').nth(1).unwrap().parse().unwrap();
        let is_ours = ours.iter().any(|ours| ours.port() == address.port());
        assert_eq!(is_ours, backend == "domain_agent", "{backend}: {line}");
        if is_ours {
            assert_eq!(address, defaults.agent.listen, "{line}");
        }
    }
    assert_eq!(servers, 2);
}

#[test]
fn every_call_of_the_cabinet_and_the_agent_lies_below_a_path_that_is_denied() {
    let contract: Value = serde_json::from_str(CONTRACT).unwrap();
    let paths = contract["paths"].as_object().unwrap().keys();
    let calls: Vec<&String> = paths.filter(|path| path.contains("/v1/")).collect();
    assert!(calls.len() >= 5, "{calls:?}");
    for call in calls {
        let is_denied = denied().iter().any(|path| call.starts_with(path));
        assert!(is_denied, "{call} is not denied");
    }
    assert!(denied().contains(&"/internal/"), "the agent's calls");
}

#[test]
fn haproxy_accepts_it_whole() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("crt-list.txt");
    std::fs::write(&list, "").unwrap();
    let file = folder.path().join("haproxy.cfg");
    // Nothing but what must exist on the machine: the agent's user and its list.
    let text = SHIPPED
        .replace("group haproxy-domain-agent", "group haproxy")
        .replace(
            "/var/lib/haproxy-domain-agent/crt-list.txt",
            list.to_str().unwrap(),
        );
    std::fs::write(&file, text).unwrap();
    let output = Command::new(haproxy().unwrap())
        .arg("-c")
        .arg("-f")
        .arg(&file)
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // An empty list is fine with strict-sni.
    let warnings = said.lines().filter(|line| line.contains("[WARNING]"));
    let unexpected: Vec<&str> = warnings
        .filter(|line| !line.contains("no SSL certificate specified"))
        .collect();
    assert!(output.status.success() && unexpected.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_of_a_customers_name_reaches_the_platform_and_no_interface_of_ours() {
    let host = "shop.bakery.test";
    let world = World::start(Options::default()).await;
    let id = world.add(host).await;
    world.wait_for_status(&id, "Active").await;
    for (path, status) in [
        ("/", 200),
        ("/api/v1/orders", 200),
        ("/internal/v1/custom-domains", 404),
        ("/internal/v1/certificates", 404),
        ("/api/v1/custom-domains?tenantId=x", 404),
        ("/api/v1/custom-domains/1", 404),
    ] {
        let reply = dps_lab::tls::https_get(world.https, host, path, &world.root_pem).await;
        assert_eq!(reply.unwrap().status, status, "{path}");
    }
}
