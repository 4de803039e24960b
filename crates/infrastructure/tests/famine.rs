//! The adapters' errors when our own machine has no descriptors left. The tests are alone in their
//! process, since all tests of one process share the descriptors.

use std::fs::File;
use std::time::Duration;

use dps_agent_api::{AgentClient, ClientOptions};
use dps_application::ports::ca::CaError;
use dps_application::ports::cabinet::CabinetFault;
use dps_application::ports::edge::EdgeError;
use dps_application::ports::{
    Cabinet as _, CertificateAuthority, Clock, DnsResolver, Edge, HttpProbe,
};
use dps_domain::dns::{DnsAnswer, DnsExpectation, DnsVerdict, ResolverView, verdict};
use dps_domain::ownership::TxtAnswer;
use dps_domain::probe::ProbeAnswer;
use dps_domain::{Hostname, Status, Timestamp};
use dps_infrastructure::acme::{AcmeAuthority, AcmeSettings};
use dps_infrastructure::cabinet::{CabinetSettings, HttpCabinet};
use dps_infrastructure::dns::{DnsSettings, HickoryResolver};
use dps_infrastructure::edge::AgentEdge;
use dps_infrastructure::http_probe::{HyperProbe, ProbeSettings};
use dps_lab::dns::DnsServer;
use dps_lab::web::{Answer, WebServer};
use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::SecretString;

const HOST: &str = "shop.example.com";
const TARGET: &str = "edge.platform.example";

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000)
    }
}

/// Holds every descriptor that is left, up to the limit.
fn take_all_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[tokio::test]
async fn without_descriptors_no_adapter_blames_the_other_side() {
    dps_lab::tls::install_crypto_provider();
    let dns = DnsServer::start_local().await.unwrap();
    dns.zone().set_a(TARGET, &[[127, 0, 0, 1].into()]);
    dns.zone().set_cname(HOST, TARGET).unwrap();
    let web = WebServer::start(([127, 0, 0, 1], 0).into(), Answer::Unanswered)
        .await
        .unwrap();
    let (host, target) = (
        Hostname::parse(HOST).unwrap(),
        Hostname::parse(TARGET).unwrap(),
    );
    let resolver = HickoryResolver::new(
        dns.address(),
        DnsSettings {
            query_timeout: Duration::from_secs(1),
            ..DnsSettings::default()
        },
    );
    let probe = HyperProbe::new(ProbeSettings {
        port: web.address().port(),
        allow_private: true,
        ..ProbeSettings::default()
    });
    let base = url::Url::parse(&format!("http://{}", web.address())).unwrap();
    let token = SecretString::from("t".repeat(16));
    let edge = AgentEdge::new(AgentClient::new(base, token, ClientOptions::default()).unwrap());
    let directory = url::Url::parse("https://localhost:14000/dir").unwrap();
    let ca = AcmeAuthority::new(&AcmeSettings::new(directory), std::sync::Arc::new(Now)).unwrap();
    let account_key = ca.new_account_key().unwrap();
    let base = url::Url::parse("http://localhost:8081").unwrap();
    let token = SecretString::from("t".repeat(16));
    let cabinet = HttpCabinet::new(base, token, CabinetSettings::default()).unwrap();

    let before = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(64),
        ..before
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let held = take_all_descriptors();
    let listed = cabinet.list(Status::PendingDns, None).await;
    let view = ResolverView {
        name: resolver.observe(&host).await,
        control: resolver.observe(&target).await,
    };
    // Equal queries share a packet, and so its fault, whenever they join.
    let proofs = join_all((0..64).map(|_| resolver.observe_proof(&host))).await;
    let probed = probe
        .probe(&host, [127, 0, 0, 1].into(), "token", "token.key")
        .await;
    let published = edge.publish_challenge("token", "token.key").await;
    let registered = ca.register(&account_key).await;
    drop(held);
    setrlimit(Resource::Nofile, before).unwrap();

    assert!(
        matches!(view.name.answer, DnsAnswer::Local { .. }),
        "{view:?}"
    );
    for seen in proofs {
        assert!(
            matches!(seen.answer, TxtAnswer::Failed(DnsAnswer::Local { .. })),
            "{seen:?}"
        );
    }
    let expected = DnsExpectation {
        hostname: &host,
        cname_target: &target,
        edge_addresses: &[],
        proxies: &dps_domain::cdn::ProxyPolicy::default(),
        unique_targets: &[],
    };
    let verdict = verdict(&expected, &[view], Timestamp::EPOCH);
    assert!(matches!(verdict, DnsVerdict::Local { .. }), "{verdict:?}");
    assert!(matches!(probed, ProbeAnswer::Local { .. }), "{probed:?}");
    assert!(
        matches!(&listed, Err(error) if error.fault == CabinetFault::Local),
        "{listed:?}"
    );
    assert!(
        matches!(published, Err(EdgeError::Local { .. })),
        "{published:?}"
    );
    assert!(
        matches!(registered, Err(CaError::Local { .. })),
        "{registered:?}"
    );

    // Nothing is left of it.
    let seen = resolver.observe(&host).await;
    assert!(matches!(seen.answer, DnsAnswer::Addresses(_)), "{seen:?}");
}
