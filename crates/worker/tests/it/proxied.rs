//! A name behind a proxy that is not ours.

use std::net::{Ipv4Addr, SocketAddr};

use dps_lab::proxy::TcpProxy;
use dps_lab::web::{Answer, WebServer};
use serde_json::json;

use crate::world::{Database, Options, World, on_both};

const HOST: &str = "shop.bakery.test";
/// An address of the proxy.
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// A world with a proxy that passes requests on to the edge, and a name behind it.
async fn world(database: Database, accept: bool) -> (World, TcpProxy) {
    let settings = json!({ "Workers": { "HttpProbe": {
        "AcceptProxied": accept,
        "ProxyNetworks": [format!("{PROXY}/32")],
    } } });
    let options = Options {
        database,
        ..Options::quick()
    };
    let world = World::start(options.with(&settings)).await;
    let edge = world.http();
    let proxy = TcpProxy::start(SocketAddr::from((PROXY, edge.port())), edge).await;
    world.zone.set_a(HOST, &[PROXY]);
    (world, proxy.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxied_name_is_reported_and_becomes_active_without_its_proxy() {
    on_both(async |database| {
        let (world, _proxy) = world(database, false).await;
        let id = world.customer.add(HOST).await;
        let reported = world.wait_for_code(&id, "CDN_IN_FRONT").await;
        assert_eq!(reported["status"], "PendingDns", "{reported}");
        let sentence = reported["lastErrorMessage"].as_str().unwrap();
        for part in [
            "is behind a proxy",
            "127.0.0.6",
            "turn off the proxy",
            "CNAME",
        ] {
            assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
        }
        assert_eq!(world.pebble.orders_for(HOST), 0);
        world.point_at_us(HOST);
        world.wait_for_status(&id, "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxied_name_is_accepted_where_the_operator_wants_it_and_the_probe_passes_through() {
    on_both(async |database| {
        let (world, proxy) = world(database, true).await;
        drop(proxy);
        let id = world.customer.add(HOST).await;
        // The addresses of a proxy say nothing about the platform.
        let asked = world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await;
        world.publish_proof(&asked);
        let reported = world.wait_for_code(&id, "HTTP_REFUSED").await;
        assert_eq!(reported["status"], "PendingHttpProbe", "{reported}");
        assert_eq!(world.pebble.orders_for(HOST), 0);
        let edge = world.http();
        let proxy = TcpProxy::start(SocketAddr::from((PROXY, edge.port())), edge).await;
        let _proxy = proxy.unwrap();
        world.wait_for_status(&id, "Active").await;
        world.visit(HOST).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cdn_without_published_networks_is_named_by_a_header_of_its_responses() {
    on_both(async |database| {
        let options = Options {
            database,
            ..Options::quick()
        };
        let world = World::start(options).await;
        let at = SocketAddr::from((PROXY, world.http().port()));
        let akamai = Answer::Header {
            status: 400,
            name: "server",
            value: "AkamaiGHost",
        };
        let cdn = WebServer::start(at, akamai).await.unwrap();
        world.zone.set_a(HOST, &[PROXY]);
        let id = world.customer.add(HOST).await;
        let reported = world.wait_for_code(&id, "CDN_IN_FRONT").await;
        assert_eq!(reported["status"], "PendingDns", "{reported}");
        let sentence = reported["lastErrorMessage"].as_str().unwrap();
        for part in [
            "is behind Akamai",
            "127.0.0.6",
            "remove the name from the property",
            "https://techdocs.akamai.com/",
        ] {
            assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
        }
        assert_eq!(cdn.received()[0].host.split(':').next(), Some(HOST));
        // A server that names no CDN is another host.
        cdn.set_answer(Answer::Content {
            status: 200,
            body: "hello".into(),
        });
        world.wait_for_code(&id, "DNS_NO_CNAME").await;
        assert_eq!(world.pebble.orders_for(HOST), 0);
        world.point_at_us(HOST);
        world.wait_for_status(&id, "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_address_is_asked_for_headers_where_the_operator_wants_no_probe() {
    let settings = json!({ "Workers": { "HttpProbe": { "Mode": "Off" } } });
    let world = World::start(Options::quick().with(&settings)).await;
    let at = SocketAddr::from((PROXY, world.http().port()));
    let keycdn = Answer::Header {
        status: 403,
        name: "server",
        value: "keycdn-engine",
    };
    let cdn = WebServer::start(at, keycdn).await.unwrap();
    world.zone.set_a(HOST, &[PROXY]);
    let id = world.customer.add(HOST).await;
    world.wait_for_code(&id, "DNS_NO_CNAME").await;
    assert!(cdn.received().is_empty(), "{:?}", cdn.received());
}
