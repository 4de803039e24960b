//! HAProxy with the configuration that we ship, on other ports.

use std::net::SocketAddr;
use std::path::Path;

use dps_lab::haproxy::HaProxy;

use super::Addresses;

const SHIPPED: &str = include_str!("../../../../../deploy/haproxy/haproxy.cfg");

/// Starts HAProxy in a directory below `home`; `entry` is the site that it serves.
pub(super) async fn start(home: &Path, at: &Addresses, entry: SocketAddr) -> HaProxy {
    let directory = home.join("haproxy");
    std::fs::create_dir(&directory).unwrap();
    let config = config(home, at, entry);
    HaProxy::start(&directory, &config, &[at.http, at.https])
        .await
        .unwrap()
}

fn config(home: &Path, at: &Addresses, entry: SocketAddr) -> String {
    let socket = home.join("haproxy.sock");
    let list = home.join("agent/crt-list.txt");
    let changes = [
        // HAProxy keeps running as the user of the tests.
        ("    user haproxy\n    group haproxy\n", String::new()),
        ("    chroot /var/lib/haproxy\n", String::new()),
        (
            "/run/haproxy/domain-agent.sock user haproxy group haproxy-domain-agent mode 660",
            format!("{} mode 600", socket.display()),
        ),
        ("bind :80,[::]:80", format!("bind {}", at.http)),
        ("bind :443,[::]:443", format!("bind {}", at.https)),
        (
            "/var/lib/haproxy-domain-agent/crt-list.txt",
            list.display().to_string(),
        ),
        (
            "server agent 127.0.0.1:9402",
            format!("server agent {}", at.agent),
        ),
        (
            "server entry 127.0.0.1:8000",
            format!("server entry {entry}"),
        ),
    ];
    changes
        .into_iter()
        .fold(SHIPPED.to_owned(), |config, (from, to)| {
            assert_eq!(
                config.matches(from).count(),
                1,
                "{from} in the shipped configuration"
            );
            config.replace(from, &to)
        })
}
