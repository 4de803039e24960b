//! The Cabinet's database is edited without its change feed: inserted, changed, put back
//! and removed rows are found.

use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _, SqlitePool};

use dps_lab::wait;

use crate::world::{Options, TARGET, TIMEOUT, World};

const KEPT: &str = "kept.bakery.test";
const LOST: &str = "lost.bakery.test";
const FOUND: &str = "found.bakery.test";
const FOUND_ID: &str = "018bcfe5-6800-7000-8000-00000000f00d";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_in_the_cabinet_without_its_feed_is_found_by_the_resync() {
    let often =
        json!({ "Workers": { "Intake": { "ResyncInterval": "1s", "MissingGrace": "3s" } } });
    let world = World::start(Options::quick().with(&often)).await;
    let (kept, lost) = (world.add(KEPT).await, world.add(LOST).await);
    world.wait_for_status(&kept, "Active").await;
    world.wait_for_status(&lost, "Active").await;
    let database = format!("sqlite://{}", world.home().join("cabinet.db").display());
    let pool = SqlitePool::connect(&database).await.unwrap();
    let edit = async |sql: String| {
        let done = pool.execute(AssertSqlSafe(sql)).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    };

    // Inserted, at a place of the feed that has long been read.
    world.point_at_us(FOUND);
    edit(format!(
        "INSERT INTO cabinet_domains (id, tenant_id, hostname, canonical_host, cname_target, status, version, created_at, \
         updated_at, position, change_position) VALUES ('{FOUND_ID}', 'tenant-1', '{FOUND}', '{FOUND}', '{TARGET}', \
         'PendingDns', 1, 1700000000000000, 1700000000000000, 1000000, -1)"
    ))
    .await;
    world.wait_for_status(FOUND_ID, "Active").await;
    world.visit(FOUND).await;

    // Changed: a status that is not true, and another target.
    edit(format!(
        "UPDATE cabinet_domains SET status = 'Issuing' WHERE id = '{kept}'"
    ))
    .await;
    world.wait_for_status(&kept, "Active").await;
    edit(format!(
        "UPDATE cabinet_domains SET cname_target = 'other.platform.test', version = version + 1 WHERE id = '{FOUND_ID}'"
    ))
    .await;
    let taken = wait::until("the new target is known", TIMEOUT, || {
        let changes = world.log().count(FOUND, "target.changed");
        std::future::ready((changes > 0).then_some(()))
    });
    taken.await.unwrap();

    // Removed: served for the grace, and taken down after it.
    edit(format!("DELETE FROM cabinet_domains WHERE id = '{lost}'")).await;
    let down = wait::until("the lost domain is taken down", TIMEOUT, || async {
        let served = dps_lab::tls::served_leaf(world.https, LOST, &world.root_pem).await;
        served.is_err().then_some(())
    });
    down.await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    let log = world.log();
    let story: Vec<&str> = log.events_of(LOST).collect();
    let place = |event| story.iter().position(|seen| *seen == event);
    assert!(
        place("cabinet.missing") < place("removal.missing"),
        "{story:?}"
    );
    assert!(place("cabinet.missing").is_some(), "{story:?}");
    world.visit(KEPT).await;
    assert_eq!(log.count(KEPT, "removal.missing"), 0);
}
