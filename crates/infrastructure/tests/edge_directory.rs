//! Edges found by DNS, against a name server that answers with real packets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dps_agent_api::{AgentClient, ClientOptions};
use dps_application::ports::{Edge, EdgeDirectory};
use dps_infrastructure::dns::DnsSettings;
use dps_infrastructure::edge::AgentEdge;
use dps_infrastructure::edge_directory::{DirectoryRecords, DirectorySettings, DnsDirectory};
use dps_lab::dns::{DnsServer, Fault};
use secrecy::SecretString;
use tokio::time::Instant;

const NAME: &str = "_haproxy-agent._tcp.edges.test";

/// A directory, and how many edges it had made.
fn directory(resolver: SocketAddr, records: DirectoryRecords) -> (DnsDirectory, Arc<AtomicUsize>) {
    let dns = DnsSettings {
        query_timeout: Duration::from_millis(300),
        ..DnsSettings::default()
    };
    directory_within(dns, resolver, records)
}

fn directory_within(
    dns: DnsSettings,
    resolver: SocketAddr,
    records: DirectoryRecords,
) -> (DnsDirectory, Arc<AtomicUsize>) {
    let settings = DirectorySettings {
        name: NAME.to_owned(),
        records,
        scheme: "https".to_owned(),
        resolver: Some(resolver),
        allowed_suffixes: vec!["edges.internal".to_owned()],
    };
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let connect = move |url| {
        counter.fetch_add(1, Ordering::SeqCst);
        let client = AgentClient::new(url, SecretString::from("token"), ClientOptions::default());
        let client = client.map_err(|error| error.to_string())?;
        Ok(Arc::new(AgentEdge::new(client)) as Arc<dyn Edge>)
    };
    (
        DnsDirectory::new(settings, dns, Box::new(connect)).unwrap(),
        made,
    )
}

async fn names(directory: &DnsDirectory) -> Vec<String> {
    let edges = directory.find().await.unwrap();
    edges.iter().map(|edge| edge.name().to_owned()).collect()
}

#[tokio::test]
async fn each_service_is_an_edge_by_its_own_name_and_port() {
    let server = DnsServer::start_local().await.unwrap();
    let zone = server.zone();
    zone.set_srv(
        NAME,
        &[
            ("Edge-2.Test.", 9403),
            ("edge-1.test", 9403),
            ("edge-1.test", 9404),
        ],
    )
    .unwrap();
    let (directory, made) = directory(server.address(), DirectoryRecords::Services);
    let expected = [
        "https://edge-1.test:9403",
        "https://edge-1.test:9404",
        "https://edge-2.test:9403",
    ];
    assert_eq!(names(&directory).await, expected);
    assert_eq!(names(&directory).await, expected);
    assert_eq!(
        made.load(Ordering::SeqCst),
        3,
        "an edge keeps its connections"
    );
    zone.set_srv(NAME, &[("edge-1.test", 9403)]).unwrap();
    assert_eq!(names(&directory).await, expected[..1]);
}

#[tokio::test]
async fn each_address_of_either_family_is_an_edge_also_behind_an_alias() {
    let server = DnsServer::start_local().await.unwrap();
    let zone = server.zone();
    zone.set_cname(NAME, "fleet.test").unwrap();
    zone.set_a(
        "fleet.test",
        &["192.0.2.2".parse().unwrap(), "192.0.2.1".parse().unwrap()],
    );
    zone.set_aaaa("fleet.test", &["2001:db8::1".parse().unwrap()]);
    let (directory, _) = directory(server.address(), DirectoryRecords::Addresses(9403));
    let expected = [
        "https://192.0.2.1:9403",
        "https://192.0.2.2:9403",
        "https://[2001:db8::1]:9403",
    ];
    assert_eq!(names(&directory).await, expected);
}

#[tokio::test]
async fn a_directory_that_names_nobody_or_does_not_answer_is_an_error_and_not_an_empty_fleet() {
    let server = DnsServer::start_local().await.unwrap();
    let zone = server.zone();
    for records in [
        DirectoryRecords::Services,
        DirectoryRecords::Addresses(9403),
    ] {
        let (directory, _) = directory(server.address(), records);
        let problem = async || directory.find().await.err().unwrap().to_string();
        assert!(problem().await.contains("no records"), "NXDOMAIN");
        for fault in [Fault::ServFail, Fault::Refused, Fault::Unanswered] {
            zone.set_fault(NAME, fault);
            let problem = problem().await;
            assert!(
                problem.contains(&server.address().to_string()),
                "{fault:?}: {problem}"
            );
        }
        zone.clear(NAME);
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_is_waited_for_no_longer_than_the_settings_say() {
    let server = DnsServer::start_local().await.unwrap();
    server.zone().set_fault(NAME, Fault::Unanswered);
    let total_timeout = Duration::from_secs(1);
    let impatient = DnsSettings {
        total_timeout,
        ..DnsSettings::default()
    };
    let (directory, _) = directory_within(impatient, server.address(), DirectoryRecords::Services);
    let began = Instant::now();
    let problem = directory.find().await.err().unwrap().to_string();
    assert!(problem.contains("does not answer"), "{problem}");
    let waited = began.elapsed();
    assert!(waited < 2 * total_timeout, "{waited:?}");
}

#[tokio::test]
async fn more_edges_than_anybody_has_are_taken_for_a_mistake() {
    let server = DnsServer::start_local().await.unwrap();
    let hosts: Vec<String> = (0..300).map(|number| format!("e{number}.test")).collect();
    let services: Vec<(&str, u16)> = hosts.iter().map(|host| (host.as_str(), 9403)).collect();
    server.zone().set_srv(NAME, &services).unwrap();
    let (directory, _) = directory(server.address(), DirectoryRecords::Services);
    let problem = directory.find().await.err().unwrap().to_string();
    assert!(problem.contains("names 300 agents"), "{problem}");
}

#[tokio::test]
async fn an_edge_is_recalled_by_its_name_without_a_query() {
    let (directory, made) = directory(([127, 0, 0, 1], 9).into(), DirectoryRecords::Services);
    let edge = directory.recall("https://edge-1.test:9403").unwrap();
    assert_eq!(edge.name(), "https://edge-1.test:9403");
    assert!(directory.recall("no URL").is_none());
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_names_below_an_allowed_suffix_need_no_approval() {
    let (directory, _) = directory(([127, 0, 0, 1], 9).into(), DirectoryRecords::Services);
    for (name, is_allowed) in [
        ("https://edge-1.edges.internal:9403", true),
        ("https://edges.internal", true),
        ("https://badedges.internal:9403", false),
        ("https://edges.internal.evil.test:9403", false),
        ("https://192.0.2.1:9403", false),
        ("https://[2001:db8::1]:9403", false),
        ("no URL", false),
    ] {
        assert_eq!(directory.is_allowed(name), is_allowed, "{name}");
    }
}
