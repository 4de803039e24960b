//! A row of the store that cannot be read, because a person edited it or a newer version wrote it.

use dps_lab::postgres::Postgres;

use crate::world::{Database, Options, World, dps, npgsql};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_blocks_its_domain_and_stops_nothing_else() {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let world = World::start(Options {
        database: Database::Postgres(npgsql(&url)),
        ..Options::quick()
    })
    .await;
    let odd = "odd.bakery.test";
    let id = world.customer.add(odd).await;
    world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    let edit = |phase: &str| {
        let sql = format!(
            "UPDATE custom_domains SET phase = '{phase}', next_attempt_at = 0, lease_token = NULL, lease_expires_at = NULL \
             WHERE hostname = '{odd}'"
        );
        let (postgres, url) = (&postgres, &url);
        async move { postgres.execute(url, &sql).await.unwrap() }
    };
    edit("{\"teleporting\":{}}").await;
    let domain = world.wait_for_code(&id, "INTERNAL").await;
    assert_eq!(domain["status"], "PendingDns", "{domain}");
    let complaint = world.service.log_text();
    let complaint = complaint
        .lines()
        .find(|line| line.contains("teleporting"))
        .unwrap();
    assert!(
        complaint.contains(&id) && complaint.contains("ERROR"),
        "{complaint}"
    );
    let shown = dps(world.home(), &["domains", "show", odd]);
    assert!(!shown.status.success());
    assert!(
        String::from_utf8_lossy(&shown.stderr).contains("column phase"),
        "{shown:?}"
    );

    // The Cabinet still names the odd one first in every list; the one after it is
    // served.
    let good = world.add("good.bakery.test").await;
    world.wait_for_status(&good, "Active").await;
    world.visit("good.bakery.test").await;

    edit("{\"onboarding\":\"awaitingDns\"}").await;
    world.point_at_us(odd);
    world.wait_for_status(&id, "Active").await;
    world.visit(odd).await;
}
