//! Service and agents with nothing but the files of `dps pki init` between them.

use dps_lab::wait;

use crate::world::{Options, TIMEOUT, World, dps};

const HOST: &str = "shop.bakery.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_becomes_active_on_two_edges_over_mutual_tls_and_renewed_files_count_without_a_restart()
 {
    let mut world = World::start(Options {
        more_edges: 1,
        mutual_tls: true,
        ..Options::quick()
    })
    .await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let first = world.visit(HOST).await;
    let second = world.more_edges[0].https;
    let leaf = dps_lab::tls::served_leaf(second, HOST, &world.root_pem)
        .await
        .unwrap();
    assert_eq!(leaf.fingerprint, first);

    let days = |metrics: &str| {
        let now = dps_host::clock::now_unix_micros() / 1_000_000;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("dps_agent_tls_not_after_timestamp_seconds "));
        (line.unwrap().parse::<f64>().unwrap() - f64::from(u32::try_from(now).unwrap())) / 86_400.0
    };
    assert!((364.0..=365.0).contains(&days(&world.get("/metrics").await.1)));
    let (status, report) = world.get("/health/ready").await;
    assert!(status == 200 && report.contains("agentTls"), "{report}");

    // Everybody's files change while all run: the service's soon end, which it says.
    let renewed = dps(
        world.home(),
        &["pki", "renew", "--out", "pki", "--days", "3"],
    );
    assert!(renewed.status.success(), "{renewed:?}");
    let says = wait::until("the service has read its new files", TIMEOUT, || async {
        let report = world.get("/health/ready").await.1;
        report.contains("dps pki renew").then_some(report)
    });
    let report = says.await.unwrap();
    assert!(report.contains("\"status\":\"ready\""), "{report}");
    let after = world.add("second.bakery.test").await;
    world.wait_for_status(&after, "Active").await;
    world.visit("second.bakery.test").await;
    assert!(world.service.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_another_authoritys_certificate_gives_no_orders_and_says_why() {
    let mut world = World::start(Options {
        mutual_tls: true,
        ..Options::quick()
    })
    .await;
    let made = dps(
        world.home(),
        &["pki", "init", "--out", "stranger", "--service", "dps1"],
    );
    assert!(made.status.success(), "{made:?}");
    let folder = world.home().join("stranger/service-dps1");
    let file = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    world
        .start_service_again_with(&[
            ("HAProxyAgent__Tls__CertificateFile", &certificate),
            ("HAProxyAgent__Tls__KeyFile", &key),
        ])
        .await;
    let id = world.add(HOST).await;
    let domain = world.wait_for_code(&id, "EDGE_UNREACHABLE").await;
    assert_eq!(domain["status"], "PendingHttpProbe", "{domain}");
    assert!(world.agent.log_text().contains("tls.client_refused"));
    // With TLS 1.3 the alert follows the client's handshake, and a request may be given up before
    // the alert is read. A later attempt reads it.
    let reason = wait::until("the alert in the history", TIMEOUT, || async {
        let history = dps(world.home(), &["domains", "show", HOST]);
        let history = String::from_utf8_lossy(&history.stdout).into_owned();
        history.contains("alert").then_some(())
    });
    reason.await.unwrap();

    world.start_service_again_with(&[]).await;
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
}
