//! One tenant adds and removes names without end, on both databases.

use dps_domain::EventKind;
use dps_lab::dns::Fault;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::http_probe::leave_first_resolver_to_the_ca;
use crate::world::{Database, Options, TARGET, TIMEOUT, World, dps, npgsql_database};

const SHARED: &str = "shared.test";
/// Names of the tenant with the crowd.
const NAMES: usize = 1_000;
/// Calls of the Cabinet at once.
const CALLS: usize = 16;
/// Certificates of the registered domain in a week.
const LIMIT: u64 = 50;

/// The rest of the limit of the shared domain; `None` if nothing of it is used.
fn left(world: &World) -> Option<u64> {
    let shown = dps(world.home(), &["limits", "show", "--json"]);
    assert!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8(shown.stdout).unwrap();
    let limits = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_domain = |limit: &Value| limit["limit"] == "RegisteredDomain" && limit["name"] == SHARED;
    let limit = limits.into_iter().find(of_domain)?;
    Some(limit["left"].as_u64().unwrap())
}

/// Only the CA asks the first resolver, which does not answer for the names of the crowd. So their
/// orders stay open, and hold the limit, until the names are removed.
async fn world(database: Database) -> World {
    let settings = json!({
        "Cabinet": { "MaxCreationsPerTenantPerDay": 0, "MaxDomainsPerTenant": NAMES },
        "LetsEncrypt": { "Limits": { "RegisteredDomain": format!("{LIMIT} per 168h") } },
        "Workers": { "Removal": { "BrakePercent": 100 } },
    });
    let options = Options {
        database,
        split_dns: true,
        prepare: Some(Box::new(|home, _| leave_first_resolver_to_the_ca(home))),
        ..Options::quick()
    };
    World::start(options.with(&settings)).await
}

async fn a_crowd_delays_nobody_else(mut world: World) {
    let crowd = format!("*.{SHARED}");
    world.second_zone.set_cname(&crowd, TARGET).unwrap();
    world.zone.set_fault(&crowd, Fault::Unanswered);
    let added = stream::iter(0..NAMES).map(async |n| {
        let host = format!("n{n}.{SHARED}");
        world.customer.add_for("crowd", &host).await
    });
    let ids: Vec<String> = added.buffer_unordered(CALLS).collect().await;
    let limited = world.service.wait_for_log("\"acme_rate_limited\"", TIMEOUT);
    limited.await.unwrap();
    let while_open = left(&world).unwrap_or(LIMIT);
    assert!(while_open < LIMIT, "their orders hold the limit");
    let removed = stream::iter(&ids).map(async |id| world.customer.remove(id).await);
    removed.buffer_unordered(CALLS).collect::<Vec<_>>().await;
    for id in &ids {
        world.wait_for_status(id, "Removed").await;
    }
    let after_crowd = left(&world).unwrap_or(LIMIT);
    assert_eq!(after_crowd, LIMIT, "nothing was issued for the crowd");

    world.zone.clear_fault(&crowd);
    let host = format!("www.{SHARED}");
    world.point_at_us(&host);
    let id = world.customer.add_for("another", &host).await;
    let active = world.wait_for_status(&id, "Active").await;
    assert!(active["lastErrorCode"].is_null(), "{active}");
    world.visit(&host).await;
    let log = world.log();
    let waits = [
        "acme_rate_limited".to_owned(),
        EventKind::CaPaced.to_string(),
    ];
    let waited = log
        .events_of(&host)
        .any(|event| waits.iter().any(|wait| wait == event));
    assert!(!waited, "{:?}", log.events_of(&host).collect::<Vec<_>>());
    assert_eq!(world.pebble.orders_for(&host), 1);
    assert_eq!(world.pebble.certificates(), 1);
    assert_eq!(left(&world), Some(LIMIT - 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_names_added_and_removed_delay_no_other_tenants_first_name_on_sqlite() {
    a_crowd_delays_nobody_else(world(Database::Sqlite).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_names_added_and_removed_delay_no_other_tenants_first_name_on_postgresql() {
    let database = Database::Postgres(npgsql_database().await);
    a_crowd_delays_nobody_else(world(database).await).await;
}
