//! Three replicas on one PostgreSQL, which are killed all the time.

use std::time::{Duration, Instant};

use dps_lab::postgres::Postgres;
use dps_lab::process::Process;
use serde_json::{Value, json};

use crate::world::{Database, Options, World, npgsql};

/// The other replicas; the first is the world's own.
const NAMES: [&str; 2] = ["second", "third"];
/// The least that may be configured: what a killed process held is blocked for so long.
const LEASE: &str = "30s";

/// How large a drill is and how it goes.
struct Drill {
    domains: usize,
    /// Draws who is killed when.
    seed: u64,
}

impl Drill {
    /// `DPS_DRILL_DOMAINS` and `DPS_DRILL_SEED`, for drills by hand.
    fn from_environment(domains: usize) -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(
                text.parse()
                    .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
            )
        };
        Self {
            domains: number("DPS_DRILL_DOMAINS")
                .map_or(domains, |number| usize::try_from(number).unwrap()),
            seed: number("DPS_DRILL_SEED").unwrap_or(1),
        }
    }

    /// All of it may take so long: leases of killed processes, and on a slow machine a second for
    /// each domain.
    fn bound(&self) -> Duration {
        Duration::from_secs(300) + Duration::from_secs(self.domains as u64)
    }
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_killed_all_the_time_lose_no_domain_and_no_certificate() {
    let drill = Drill::from_environment(30);
    println!("{} domains, DPS_DRILL_SEED={}", drill.domains, drill.seed);
    let mut postgres = Postgres::start_durable().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let options = Options {
        database: Database::Postgres(npgsql(&url)),
        ..Options::quick()
    };
    let options = options.with(&json!({ "Workers": { "LeaseDuration": LEASE } }));
    let mut world = World::start(options).await;
    let mut others = Vec::new();
    for name in NAMES {
        others.push(world.start_replica(name, &[]).await);
    }

    let began = Instant::now();
    let hosts: Vec<String> = (0..drill.domains)
        .map(|n| format!("shop-{n}.cluster.test"))
        .collect();
    let mut ids = Vec::new();
    // Some customers point at us only after the crash, so that there is work whenever a process is
    // killed.
    let (early, late) = hosts.split_at(hosts.len() * 2 / 3);
    for host in early {
        ids.push(world.add(host).await);
    }
    for host in late {
        ids.push(world.customer.add(host).await);
    }
    let kills =
        kill_until_active(&drill, &mut world, &mut others, &mut postgres, (&ids, late)).await;
    let took = began.elapsed();

    settle(&drill, &world, &postgres, &url).await;
    for (host, id) in hosts.iter().zip(&ids) {
        let domain = world.customer.read(id).await;
        assert_eq!(domain["status"], "Active", "{domain}");
        assert!(domain["lastErrorCode"].is_null(), "{domain}");
        world.visit(host).await;
        assert!(world.pebble.orders_for(host) >= 1, "{host}");
    }
    let (orders, certificates) = (world.pebble.orders(), world.pebble.certificates());
    println!(
        "{} domains Active in {:.1} s, {orders} orders, {certificates} certificates, {kills} kills, 1 crash of PostgreSQL",
        drill.domains,
        took.as_secs_f64(),
    );
    assert_eq!(
        certificates, drill.domains,
        "every name has one certificate"
    );
    for replica in std::iter::once(&mut world.service).chain(&mut others) {
        assert!(replica.is_running(), "{}", replica.log_tail());
    }
}

/// Kills one of the replicas every two to four seconds and starts it again, and PostgreSQL once,
/// until every domain is `Active`. The `late` hosts point at us from the crash on. Answers how many
/// replicas were killed.
async fn kill_until_active(
    drill: &Drill,
    world: &mut World,
    others: &mut [Process],
    postgres: &mut Postgres,
    (ids, late): (&[String], &[String]),
) -> usize {
    let mut dice = Dice(drill.seed);
    let (mut kills, mut crashed) = (0, false);
    let mut waiting: Vec<&String> = ids.iter().collect();
    let deadline = Instant::now() + drill.bound();
    loop {
        let pause = Duration::from_millis(2_000 + dice.below(2_000));
        let victim = dice.below(1 + NAMES.len() as u64);
        tokio::time::sleep(pause).await;
        // A replica that met PostgreSQL's crash at its start has ended; a supervisor starts it
        // again.
        for replica in std::iter::once(&mut world.service).chain(others.iter_mut()) {
            if !replica.is_running() {
                replica.restart().unwrap();
            }
        }
        while let Some(id) = waiting.last()
            && world.customer.read(id).await["status"] == "Active"
        {
            waiting.pop();
        }
        if waiting.is_empty() {
            assert!(crashed, "the drill was over before it began");
            return kills;
        }
        if Instant::now() > deadline {
            let last: Value = world.customer.read(waiting[0]).await;
            panic!(
                "{} are not Active, such as {last:#}\n{}",
                waiting.len(),
                world.service.log_tail()
            );
        }
        let process = match victim {
            0 => &mut world.service,
            n => &mut others[usize::try_from(n).unwrap() - 1],
        };
        process.restart().unwrap();
        kills += 1;
        if kills == 2 {
            postgres.crash().await.unwrap();
            crashed = true;
            for host in late {
                world.point_at_us(host);
            }
        }
    }
}

/// Waits until nothing remains: no lease, no report, no failure.
async fn settle(drill: &Drill, world: &World, postgres: &Postgres, url: &str) {
    const LEFT: &str = "SELECT (SELECT count(*) FROM custom_domains WHERE lease_token IS NOT NULL) \
        + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM custom_domains WHERE last_failure IS NOT NULL)";
    let settled = dps_lab::wait::until("nothing remains", drill.bound(), || async {
        let left = postgres.query(url, LEFT).await.unwrap();
        (left.trim() == "0").then_some(())
    });
    if let Err(error) = settled.await {
        panic!("{error}\n{}", world.service.log_tail());
    }
}
