//! Faults of certificates, of their renewal information and of an edge: each fires its alert alone.

use std::collections::BTreeSet;
use std::fs;

use dps_lab::acme_double::{AcmeDouble, Suggestion};
use dps_lab::postgres::Postgres;
use dps_lab::prometheus::Prometheus;
use dps_lab::wait;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::signals::{ALERTED, clears, ever_fired, fires_alone, wait_for_gauges, watch};
use crate::world::{Database, Options, World, dps, npgsql};

/// Its certificate ends soon, and the CA issues none that can be used.
const ENDS: &str = "ends.bakery.test";
/// Its renewal is urgent, and no replica can take it up.
const URGENT: &str = "urgent.bakery.test";
const MORE: &str = "shop.bakery.test";
/// In microseconds, as the store has times.
const TWENTY_MINUTES: i64 = 20 * 60 * 1_000_000;
const DAY: i64 = 24 * 3_600 * 1_000_000;
/// Now, in the store's PostgreSQL.
const NOW: &str = "CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)";

/// A world on a database of its own, and the Prometheus that scrapes it.
struct Lab {
    world: World,
    prometheus: Prometheus,
    postgres: Postgres,
    url: String,
}

impl Lab {
    async fn start() -> Self {
        let postgres = Postgres::start().await.unwrap();
        let url = postgres.create_database().await.unwrap();
        let soon = json!({ "Workers": { "EdgeReconcile": { "CheckInterval": "500ms" } } });
        let options = Options {
            database: Database::Postgres(npgsql(&url)),
            // Too long for an agent that sends little at once.
            pebble: |pebble| pebble.chain_length = Some(4),
            ..Options::quick()
        };
        let world = World::start(options.with(&soon)).await;
        let mut ids = Vec::new();
        for host in [ENDS, URGENT, MORE] {
            ids.push(world.add(host).await);
        }
        for id in &ids {
            world.wait_for_status(id, "Active").await;
        }
        let prometheus = watch(&world).await;
        wait_for_gauges(&prometheus).await;
        assert_eq!(prometheus.firing().await, BTreeSet::new());
        Self {
            world,
            prometheus,
            postgres,
            url,
        }
    }

    /// Changes the store.
    async fn execute(&self, sql: &str) {
        self.postgres.execute(&self.url, sql).await.unwrap();
    }

    /// Waits until the store says so.
    async fn wait_until(&self, condition: &str) {
        let sql = format!("SELECT {condition}");
        let holds = wait::until(condition, ALERTED, || async {
            let said = self.postgres.query(&self.url, &sql).await.unwrap();
            (said.trim() == "t").then_some(())
        });
        let service = &self.world.service;
        holds
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", service.log_tail()));
    }

    async fn fires_alone(&self, alert: &str) {
        fires_alone(&self.world, &self.prometheus, alert).await;
    }

    /// Changes the settings of all processes from their next start on.
    fn set(&self, change: impl FnOnce(&mut Value)) {
        let file = self.world.home().join("appsettings.json");
        let mut settings: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut settings);
        fs::write(&file, settings.to_string()).unwrap();
    }

    /// Has the agent send at most so many bytes at once to HAProxy, and starts it again.
    async fn restart_agent(&mut self, max_request_bytes: u32) {
        self.set(|settings| {
            settings["Agent"]["MaxRuntimeRequestBytes"] = json!(max_request_bytes);
        });
        self.world.restart_agent().await;
    }

    fn renew(&self, host: &str) {
        let output = dps(self.world.home(), &["domains", "renew", host]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until visitors get another certificate.
    async fn wait_until_renewed(&self, host: &str, before: &str) {
        let renewed = wait::until("another certificate", ALERTED, || async {
            (self.world.visit(host).await != before).then_some(())
        });
        renewed.await.unwrap();
    }

    /// An edge lost its disk, and its HAProxy has too small a buffer for the chains.
    async fn edge_that_refuses(&mut self) {
        self.world.agent.kill().unwrap();
        fs::remove_dir_all(self.world.agent_state()).unwrap();
        self.restart_agent(4_096).await;
        self.fires_alone("DpsEdgeBehind").await;

        self.world.agent.kill().unwrap();
        self.restart_agent(15_872).await;
        self.wait_until("bool_and(behind = 0) FROM edges").await;
    }

    /// A session of somebody holds the row of an urgent renewal, so no replica takes it up.
    async fn urgent_renewal_that_waits(&mut self) {
        self.world.service.kill().unwrap();
        self.renew(URGENT);
        self.execute(&format!(
            "UPDATE custom_domains SET urgent_from = {NOW} - {TWENTY_MINUTES} WHERE hostname = '{URGENT}'"
        ))
        .await;
        let mut session = PgConnection::connect(&self.url).await.unwrap();
        let hold =
            format!("BEGIN; SELECT 1 FROM custom_domains WHERE hostname = '{URGENT}' FOR UPDATE");
        session.execute(AssertSqlSafe(hold)).await.unwrap();
        self.world.restart_service().await;
        self.fires_alone("DpsUrgentWorkWaits").await;

        let before = self.world.visit(URGENT).await;
        session.close().await.unwrap();
        self.wait_until_renewed(URGENT, &before).await;
    }

    /// The CA offers renewal information, and does not know the certificates.
    async fn renewal_information_without_answers(&mut self, double: &AcmeDouble) {
        let directory = double.directory_url();
        double.offer_renewal_info();
        self.world.service.kill().unwrap();
        self.set(|settings| {
            settings["LetsEncrypt"]["DirectoryUrl"] = json!(directory);
            settings["LetsEncrypt"]["CaCertificateFile"] = Value::Null;
        });
        self.execute(&format!(
            "UPDATE acme_orders SET directory_url = '{directory}'; \
             UPDATE renewal_questions SET ask_at = 0"
        ))
        .await;
        self.world.restart_service().await;
        self.fires_alone("DpsRenewalInfoStale").await;

        let known = "SELECT ari_id FROM certificates";
        let known = self.postgres.query(&self.url, known).await.unwrap();
        for ari_id in known.lines() {
            let window = Suggestion::new(&"2030-01-01T00:00:00Z", &"2030-01-08T00:00:00Z");
            double.suggest(ari_id, window);
        }
        self.execute("UPDATE renewal_questions SET ask_at = 0")
            .await;
        self.wait_until("bool_and(window_start_at IS NOT NULL) FROM renewal_questions")
            .await;
    }

    /// The CA, at present the double, issues only what cannot be used, and a certificate ends in
    /// five days. Then the CA of before is back.
    async fn certificate_that_cannot_be_renewed(&mut self, of_pebble: Value) {
        self.world.service.kill().unwrap();
        self.renew(ENDS);
        self.execute(&format!(
            "UPDATE certificates SET not_before = {NOW} - 95 * {DAY}, not_after = {NOW} + 5 * {DAY} \
             WHERE hostname = '{ENDS}'"
        ))
        .await;
        self.world.restart_service().await;
        self.fires_alone("DpsCertificateNotRenewed").await;

        let before = self.world.visit(ENDS).await;
        self.world.service.kill().unwrap();
        self.set(|settings| {
            settings["LetsEncrypt"] = of_pebble;
            settings["LetsEncrypt"]["AcceptDirectoryChange"] = json!(true);
        });
        self.world.restart_service().await;
        self.wait_until_renewed(ENDS, &before).await;
        clears(&self.world, &self.prometheus, "DpsCertificateNotRenewed").await;
    }
}

/// Each fault but the first begins with a start of the service, which shows the gauges at once. The
/// alert of one has cleared when that of the next fires alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_certificates_and_edges_fire_their_alerts_alone() {
    let mut lab = Lab::start().await;
    let double = AcmeDouble::start().await.unwrap();
    let mut of_pebble = Value::Null;
    lab.set(|settings| of_pebble = settings["LetsEncrypt"].clone());
    lab.edge_that_refuses().await;
    lab.urgent_renewal_that_waits().await;
    lab.renewal_information_without_answers(&double).await;
    lab.certificate_that_cannot_be_renewed(of_pebble).await;
    let expected = [
        "DpsCertificateNotRenewed",
        "DpsEdgeBehind",
        "DpsRenewalInfoStale",
        "DpsUrgentWorkWaits",
    ];
    let expected = BTreeSet::from(expected.map(str::to_owned));
    assert_eq!(ever_fired(&lab.prometheus).await, expected);
}
