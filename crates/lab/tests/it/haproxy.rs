use std::net::SocketAddr;
use std::time::Duration;

use dps_lab::haproxy::{self, HaProxy};
use dps_lab::tls::{HandshakeWatcher, LocalAuthority, https_get, served_leaf};

const BOUND: Duration = Duration::from_secs(20);

/// An HTTPS edge whose one certificate is in `edge.pem`.
fn config(port: u16) -> String {
    format!(
        "global\n  log stdout format raw local0\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         frontend edge\n  bind 127.0.0.1:{port} ssl crt edge.pem\n  \
         http-request return status 200 content-type text/plain string hello\n"
    )
}

#[tokio::test]
async fn an_edge_is_seen_with_its_certificate_and_survives_a_kill() {
    let authority = LocalAuthority::new().unwrap();
    let root = authority.root_pem();
    let identity = authority.certify(&["www.shop.test"]).unwrap();
    let home = haproxy::home().unwrap();
    let write = |identity: &dps_lab::tls::ServerIdentity| {
        let pem = format!("{}{}", identity.certificate_pem, identity.key_pem());
        std::fs::write(home.path().join("edge.pem"), pem).unwrap();
    };
    write(&identity);
    let port = dps_lab::free_port().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    haproxy::check_config(home.path(), &config(port))
        .await
        .unwrap();
    let mut edge = HaProxy::start(home.path(), &config(port), &[address])
        .await
        .unwrap();

    let reply = https_get(address, "www.shop.test", "/", &root)
        .await
        .unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
    let before = served_leaf(address, "www.shop.test", &root).await.unwrap();
    assert_eq!(before, reply.leaf);
    assert!(
        served_leaf(address, "other.test", &root).await.is_err(),
        "another name must not verify"
    );

    let watcher = HandshakeWatcher::start(address, "www.shop.test", &root, Duration::ZERO).unwrap();
    let seen = |fingerprint: String| {
        move |report: &dps_lab::tls::HandshakeReport| report.fingerprints.contains(&fingerprint)
    };
    watcher
        .wait_until(
            "the first leaf is seen",
            BOUND,
            seen(before.fingerprint.clone()),
        )
        .await
        .unwrap();
    let pid = edge.pid();
    edge.kill().unwrap();
    watcher
        .wait_until("a failure is seen", BOUND, |report| report.failures > 0)
        .await
        .unwrap();
    write(&authority.certify(&["www.shop.test"]).unwrap());
    edge.restart().await.unwrap();
    assert_ne!(edge.pid(), pid);
    let after = served_leaf(address, "www.shop.test", &root).await.unwrap();
    watcher
        .wait_until(
            "the second leaf is seen",
            BOUND,
            seen(after.fingerprint.clone()),
        )
        .await
        .unwrap();
    let report = watcher.stop();
    assert_eq!(report.fingerprints, [before.fingerprint, after.fingerprint]);
    assert!(
        report.successes >= 2 && report.last_failure.is_some(),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_configuration_haproxy_refuses_is_reported_in_haproxys_words() {
    let home = haproxy::home().unwrap();
    let wrong = "frontend edge\n  bnd :1\n";
    let checked = haproxy::check_config(home.path(), wrong)
        .await
        .unwrap_err()
        .to_string();
    assert!(checked.contains("unknown keyword 'bnd'"), "{checked}");
    let address = SocketAddr::from(([127, 0, 0, 1], dps_lab::free_port().unwrap()));
    let started = HaProxy::start(home.path(), wrong, &[address])
        .await
        .unwrap_err()
        .to_string();
    assert!(started.contains("unknown keyword 'bnd'"), "{started}");
}
