//! The certificates of domains that ended, and whether the CA revokes them.

use dps_lab::dns::Zone;
use dps_lab::wait;
use reqwest::StatusCode;
use serde_json::json;

use crate::admin::{ADMIN, OPERATOR, world};
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

/// Waits until the history says that the key was erased.
async fn wait_until_erased(world: &World, host: &str) {
    wait::until("the end of the key", TIMEOUT, || async {
        history(world, host).contains("key.erased").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", history(world, host)));
}

async fn revokes_on_request(database: Database) {
    let options = Options {
        database,
        ..Options::quick()
    };
    let (world, api) = world(options).await;
    let (host, other) = ("leaked.test", "other.test");
    for name in [host, other] {
        let id = world.add(name).await;
        world.wait_for_status(&id, "Active").await;
    }
    let (old, of_other) = (
        serial_of(&world, host).await,
        serial_of(&world, other).await,
    );

    // By the command line: refused, previewed, done.
    let command = |reason: &'static str| ["domains", "revoke", host, "--reason", reason];
    for reason in ["ca-compromise", "keyCompromise"] {
        let refused = dps(world.home(), &command(reason));
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success());
        assert!(text.contains("give key-compromise, superseded"), "{text}");
    }
    let shown = dps(world.home(), &command("key-compromise"));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.status.success() && text.contains(&old),
        "{text} {old}"
    );
    assert!(!history(&world, host).contains("revocation.requested"));
    let note = ["--note", "the key was in a public repository", "--yes"];
    let done = dps(
        world.home(),
        &[&command("key-compromise")[..], &note].concat(),
    );
    assert!(done.status.success(), "{done:?}");
    wait_until_revoked(&world, &old).await;
    wait_until_erased(&world, host).await;
    let new = serial_of(&world, host).await;
    assert!(is_valid(&world, &new).await && is_valid(&world, &of_other).await);
    let activity = dps(world.home(), &["activity", "--json"]);
    let activity = String::from_utf8(activity.stdout).unwrap();
    for word in ["domain.revoke", "the key was in a public repository", &old] {
        assert!(activity.contains(word), "{word}: {activity}");
    }
    let again = dps(world.home(), &command("superseded"));
    assert!(again.status.success(), "that of the new certificate");

    // By the admin API, of one domain and as a job.
    let path = format!("/admin/v1/domains/{host}/revoke");
    let body = json!({ "revocationReason": "superseded", "reason": "a test" });
    let (status, _) = api.post(&path, OPERATOR, body.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let wrong = json!({ "revocationReason": "certificate-hold" });
    let (status, problem) = api.post(&path, ADMIN, wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    assert_eq!(problem["field"], "revocationReason", "{problem}");
    let (status, acted) = api.post(&path, ADMIN, body).await;
    assert_eq!(
        (status, &acted["status"]),
        (StatusCode::OK, &json!("Active"))
    );
    wait_until_revoked(&world, &new).await;

    let mut job = json!({
        "action": "revoke", "revocationReason": "key-compromise", "filter": { "name": other }
    });
    let (status, preview) = api
        .post("/admin/v1/jobs/preview", OPERATOR, job.clone())
        .await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!(preview["certificates"], json!({ other: of_other.as_str() }));
    job["confirm"] = json!(1);
    let (status, _) = api.post("/admin/v1/jobs", OPERATOR, job.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, begun) = api.post("/admin/v1/jobs", ADMIN, job).await;
    assert_eq!(
        (status, &begun["action"]),
        (StatusCode::OK, &json!("revoke:key-compromise"))
    );
    wait_until_revoked(&world, &of_other).await;
    wait_until_erased(&world, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_revokes_certificates_which_are_replaced_first_and_compromised_keys_go() {
    on_both(async |database| revokes_on_request(database).await).await;
}
