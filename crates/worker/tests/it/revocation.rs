//! The certificates of domains that ended, and whether the CA revokes them.

use dps_lab::dns::Zone;
use dps_lab::wait;
use serde_json::json;

use crate::world::{Database, EDGE, Options, TIMEOUT, World, dps, on_both};

/// The serial of the certificate that visitors of a name get, as Pebble writes it.
async fn serial_of(world: &World, host: &str) -> String {
    let leaf = dps_lab::tls::served_leaf(world.https, host, &world.root_pem).await;
    leaf.unwrap().serial
}

async fn wait_until_revoked(world: &World, serial: &str) {
    wait::until("the revocation", TIMEOUT, || async {
        let status = world.pebble.certificate_status(serial).await.unwrap();
        (status == "Revoked").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
}

async fn is_valid(world: &World, serial: &str) -> bool {
    world.pebble.certificate_status(serial).await.unwrap() == "Valid"
}

fn history(world: &World, host: &str) -> String {
    let shown = dps(world.home(), &["domains", "show", host]);
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

async fn a_domain_ends(database: Database, revokes: bool) {
    let settings = json!({ "Workers": { "Removal": { "RevokeCertificates": revokes } } });
    let options = Options {
        database,
        ..Options::quick()
    };
    let options = if revokes {
        options.with(&settings)
    } else {
        options
    };
    let world = World::start(options).await;
    let (removed, kept) = ("removed.test", "kept.test");
    let id = world.add(removed).await;
    world.wait_for_status(&id, "Active").await;
    let other = world.add(kept).await;
    world.wait_for_status(&other, "Active").await;
    let (of_removed, of_kept) = (
        serial_of(&world, removed).await,
        serial_of(&world, kept).await,
    );
    world.customer.remove(&id).await;
    world.wait_for_status(&id, "Removed").await;
    if revokes {
        wait_until_revoked(&world, &of_removed).await;
    }

    // A claim that loses its name keeps the edges until the winner's certificate is there.
    let taken = "taken.test";
    let loser = world.customer.add_for("squatter", taken).await;
    for zone in [&world.zone, &world.second_zone] {
        Zone::set_a(zone, taken, &[EDGE]);
    }
    world.wait_for_status(&loser, "Active").await;
    let of_loser = serial_of(&world, taken).await;
    let winner = world.customer.add_for("owner", taken).await;
    let asked = world.wait_for_code(&winner, "DNS_OWNERSHIP_REQUIRED").await;
    world.publish_proof(&asked);
    world.wait_for_status(&winner, "Active").await;
    let of_winner = serial_of(&world, taken).await;
    assert_ne!(of_winner, of_loser);
    if revokes {
        wait_until_revoked(&world, &of_loser).await;
        assert!(history(&world, removed).contains("certificate.revoked"));
    }
    assert!(is_valid(&world, &of_winner).await && is_valid(&world, &of_kept).await);
    for serial in [&of_removed, &of_loser] {
        assert_eq!(is_valid(&world, serial).await, !revokes);
    }
    let lost = world.customer.read(&loser).await;
    assert_eq!(lost["lastErrorCode"], "NAME_ALREADY_CLAIMED", "{lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ca_revokes_the_certificates_of_domains_that_ended_if_the_operator_wants_it() {
    on_both(async |database| a_domain_ends(database, true).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_the_certificates_of_domains_that_ended_stay_valid() {
    a_domain_ends(Database::Sqlite, false).await;
}
