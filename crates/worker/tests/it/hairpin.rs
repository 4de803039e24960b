//! A service behind the router that forwards the public address of its edge, in network namespaces.
//! The router lets no packet from inside through to that address. The CA, outside, reaches it.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Output};

use dps_lab::postgres::Postgres;
use dps_lab::proxy::TcpProxy;
use serde_json::json;

use crate::world::{Database, Options, TARGET, World};

/// The public address of the edge.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The namespace of the service.
const SERVICE: &str = "/run/netns/service";
/// Set in the process that runs inside the namespaces: the connection string of PostgreSQL, or
/// nothing for SQLite.
const INSIDE: &str = "DPS_TEST_NAMESPACES";

/// All parts but the service are in the outer namespace, on loopback. The service reaches them over
/// a pair of virtual interfaces. `$@` runs in the outer namespace.
const NETWORK: &str = "
    mount -t tmpfs tmpfs /run
    ip link set lo up
    ip address add 203.0.113.10/32 dev lo
    ip netns add service
    ip link add router type veth peer name service netns service
    ip address add 192.0.2.1/24 dev router
    ip link set router up
    echo 1 > /proc/sys/net/ipv4/conf/router/route_localnet
    echo 1 > /proc/sys/net/ipv4/conf/router/forwarding
    ip -n service address add 192.0.2.2/24 dev service
    ip -n service link set service up
    nsenter --net=/run/netns/service sh -c 'echo 1 > /proc/sys/net/ipv4/conf/service/route_localnet'
    ip -n service route add 127.0.0.0/8 via 192.0.2.1
    ip -n service route add default via 192.0.2.1
    ip rule add pref 1 iif router to 203.0.113.10 blackhole
    ip rule add pref 2 lookup local
    ip rule del pref 0
    exec \"$@\"
";

fn unshare(arguments: &[&str], database: &str) -> Output {
    Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount"])
        .args(arguments)
        .env(INSIDE, database)
        .output()
        .unwrap()
}

#[tokio::test]
async fn a_service_that_its_router_keeps_from_its_own_edge_leaves_the_word_to_the_ca() {
    let possible = unshare(&["true"], "");
    if !possible.status.success() {
        let why = String::from_utf8_lossy(&possible.stderr);
        // Not by a macro, whose text is shown only if the test fails.
        writeln!(
            std::io::stderr(),
            "SKIPPED hairpin: no user and network namespaces here: {why}"
        )
        .unwrap();
        return;
    }
    // No server can be started inside: its user does not exist there.
    let postgres = Postgres::start_with_socket().await.unwrap();
    let this = std::env::current_exe().unwrap();
    let inside = ["--exact", "hairpin::inside", "--ignored", "--nocapture"];
    let shell = ["sh", "-e", "-c", NETWORK, "sh", this.to_str().unwrap()];
    for database in ["", &postgres.npgsql_by_socket("postgres")] {
        let output = unshare(&[shell.as_slice(), &inside].concat(), database);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{database}: {said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Whether a program of this namespace reaches the edge at its public address.
fn reaches_edge(wrapper: &[&str], port: u16) -> bool {
    let url = format!("http://{PUBLIC}:{port}/");
    let curl = [
        "curl",
        "--silent",
        "--noproxy",
        "*",
        "--max-time",
        "2",
        &url,
    ];
    let command = [wrapper, &curl].concat();
    let output = Command::new(command[0]).args(&command[1..]).output();
    output.unwrap().status.success()
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a helper that another test starts in namespaces of its own"]
async fn inside() {
    let Ok(connection_string) = std::env::var(INSIDE) else {
        return;
    };
    let database = match connection_string.as_str() {
        "" => Database::Sqlite,
        postgres => Database::Postgres(postgres.to_owned()),
    };
    // Nothing is bound to loopback in the service's namespace.
    let settings = json!({
        "Http": { "Listen": "192.0.2.2:9401" },
        "Workers": { "DomainVerification": { "EdgeAddresses": [PUBLIC] } },
    });
    let world = World::start(Options {
        database,
        service_namespace: Some(SERVICE),
        ..Options::quick().with(&settings)
    })
    .await;
    let port = world.http().port();
    let _router = TcpProxy::start((PUBLIC, port).into(), world.http())
        .await
        .unwrap();
    world.zone.set_a(TARGET, &[PUBLIC]);
    assert!(reaches_edge(&[], port), "from outside");
    let from_service = ["nsenter", "--net=/run/netns/service"];
    becomes_active(&world, "shop.dropped.test", || {
        reaches_edge(&from_service, port)
    })
    .await;

    // The other kind of router says that it does not pass packets on.
    ip("rule del pref 1");
    ip("rule add pref 1 iif router to 203.0.113.10 prohibit");
    becomes_active(&world, "shop.prohibited.test", || {
        reaches_edge(&from_service, port)
    })
    .await;
}

async fn becomes_active(world: &World, host: &str, is_reached_by_service: impl Fn() -> bool) {
    assert!(!is_reached_by_service(), "{host}");
    let id = world.add(host).await;
    let active = world.wait_for_status(&id, "Active").await;
    assert!(active["lastErrorCode"].is_null(), "{active}");
    world.visit(host).await;
    assert_eq!(world.pebble.orders_for(host), 1);
    let log = world.log();
    assert_eq!(log.count(host, "probe.edges_out_of_reach"), 1);
    assert_eq!(log.count(host, "http.inconclusive"), 1);
    let failed = log.events_of(host).find(|event| event.starts_with("http_"));
    assert_eq!(failed, None, "no failure of the probe is reported");
    assert!(!is_reached_by_service(), "{host}");
}
