//! The versions of the schema.

use dps_database::{Schema, schema};

/// Every migration. Both folders have the same versions and names.
pub(crate) const SCHEMA: Schema = schema!(
    "_sqlx_migrations",
    "../migrations",
    1 "0001" "work_records",
    2 "0002" "certificates",
    3 "0003" "history_and_reports",
    4 "0004" "rate_limits",
    5 "0005" "fair_lanes",
    6 "0006" "limits_ledger",
    7 "0007" "renewal_information",
    8 "0008" "timeline_and_sync",
    14 "0014" "reports_of_progress",
    15 "0015" "fleet",
    16 "0016" "renewal_questions",
    18 "0018" "limit_slots",
    19 "0019" "crowds",
    20 "0020" "keys_of_orders",
    22 "0022" "approved_edges",
    23 "0023" "soonest_expiry",
    24 "0024" "leased_records",
    25 "0025" "lost_orders_and_old_keys",
    26 "0026" "moved_away",
    27 "0027" "ownership",
    30 "0030" "ends_of_orders",
    31 "0031" "fewer_index_entries",
    32 "0032" "fleet_view",
    33 "0033" "renewal_information_age",
    34 "0034" "revocations",
    35 "0035" "fewer_triggers",
    36 "0036" "operator_actions",
    37 "0037" "operator_jobs",
    38 "0038" "webhook_deliveries",
    39 "0039" "idempotency_keys",
    40 "0040" "replicas",
    41 "0041" "target_tenants",
    42 "0042" "requested_revocations",
);

#[cfg(test)]
mod tests {
    use dps_database::{Pools, Script};
    use sqlx::sqlite::SqlitePoolOptions;
    use sqlx::{Executor, PgPool, Row as _};

    use super::*;
    use crate::sql::Database;

    /// A domain that is served and one that is not, as an earlier version wrote them.
    const DOMAINS: &str = "INSERT INTO custom_domains (id, tenant_shard, tenant_id, hostname, cname_target, phase, attempt, \
        next_attempt_at, pending_since, failed_validations, order_not_before, upkeep, serving_certificate_id, cabinet_version, \
        revision, created_at, updated_at) VALUES \
        ('served', 0, '', 'served.example', '', '', 0, 77, 0, 0, 0, 'of no form', 'certificate', 0, 0, 0, 0), \
        ('waiting', 0, '', 'waiting.example', '', '', 0, 5, 0, 0, 0, NULL, NULL, 0, 0, 0, 0)";
    const POLLS: &str = "SELECT domain_id, certificate_id, ask_at FROM renewal_questions";

    fn before(scripts: &'static [Script], version: i64) -> &'static [Script] {
        let end = scripts.iter().position(|script| script.version == version);
        &scripts[..end.unwrap()]
    }

    /// The schema before the migration of this version.
    fn earlier(version: i64) -> Schema {
        Schema {
            postgres: before(SCHEMA.postgres, version),
            sqlite: before(SCHEMA.sqlite, version),
            ..SCHEMA
        }
    }

    /// Migrates as far as that version did, writes what it wrote, and migrates on; returns the
    /// polls there are then.
    macro_rules! migrated {
        ($pool:expr, $pools:expr) => {{
            let database = Database::new($pools);
            database.migrate(&earlier(16)).await.unwrap();
            $pool.execute(DOMAINS).await.unwrap();
            database.migrate(&SCHEMA).await.unwrap();
            let rows = $pool.fetch_all(POLLS).await.unwrap();
            let poll = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2)));
            poll.collect::<Vec<(String, String, i64)>>()
        }};
    }

    #[tokio::test]
    async fn certificates_of_an_earlier_version_are_polled_after_their_next_recheck() {
        let expected = [("served".to_owned(), "certificate".to_owned(), 77)];
        let sqlite = SqlitePoolOptions::new().max_connections(1);
        let sqlite = sqlite.connect("sqlite::memory:").await.unwrap();
        let pools = Pools::Sqlite {
            writer: sqlite.clone(),
            readers: sqlite.clone(),
        };
        assert_eq!(migrated!(sqlite, pools), expected);
        let url = dps_lab::postgres::fresh_database().await.unwrap();
        let postgres = PgPool::connect(&url).await.unwrap();
        assert_eq!(
            migrated!(postgres, Pools::Postgres(postgres.clone())),
            expected
        );
    }

    /// Domains of two tenants: one has a target of its own, and both share another.
    const TARGETS: &str = "INSERT INTO custom_domains (id, tenant_id, hostname, cname_target, phase, lane, attempt, \
        next_attempt_at, pending_since, failed_validations, order_not_before, cabinet_version, revision, created_at, updated_at) VALUES \
        ('1', 'one', 'a.example', 'own.platform.example', '', 'chronic', 0, 0, 0, 0, 0, 0, 0, 0, 5), \
        ('2', 'one', 'b.example', 'edge.platform.example', '', 'chronic', 0, 0, 0, 0, 0, 0, 0, 0, 6), \
        ('3', 'two', 'c.example', 'edge.platform.example', '', 'chronic', 0, 0, 0, 0, 0, 0, 0, 0, 7), \
        ('4', 'two', 'd.example', 'refused.invalid', '', 'chronic', 0, 0, 0, 0, 0, 0, 0, 0, 8)";
    const HOLDERS: &str = "SELECT target || ' ' || COALESCE(tenant_id, '(several)') || ' ' || CAST(noted_at AS TEXT) \
        FROM target_tenants ORDER BY target";

    macro_rules! holders_after_migration {
        ($pool:expr, $pools:expr) => {{
            let database = Database::new($pools);
            database.migrate(&earlier(41)).await.unwrap();
            $pool.execute(TARGETS).await.unwrap();
            database.migrate(&SCHEMA).await.unwrap();
            let rows = $pool.fetch_all(HOLDERS).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
        }};
    }

    #[tokio::test]
    async fn the_targets_of_an_earlier_version_have_their_tenant_unless_they_are_shared() {
        let expected = [
            "edge.platform.example (several) 7",
            "own.platform.example one 5",
        ];
        let sqlite = SqlitePoolOptions::new().max_connections(1);
        let sqlite = sqlite.connect("sqlite::memory:").await.unwrap();
        let pools = Pools::Sqlite {
            writer: sqlite.clone(),
            readers: sqlite.clone(),
        };
        assert_eq!(holders_after_migration!(sqlite, pools), expected);
        let url = dps_lab::postgres::fresh_database().await.unwrap();
        let postgres = PgPool::connect(&url).await.unwrap();
        assert_eq!(
            holders_after_migration!(postgres, Pools::Postgres(postgres.clone())),
            expected
        );
    }

    /// Twenty records of one tenant in one queue, which a version before second queues wrote.
    const CROWD: &str = "INSERT INTO custom_domains (id, tenant_shard, tenant_id, hostname, cname_target, phase, lane, attempt, \
        next_attempt_at, pending_since, failed_validations, order_not_before, cabinet_version, revision, created_at, updated_at) \
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20) \
        SELECT 'id-' || n, 7, 'tenant', 'host', '', '', 'chronic', 0, n, 0, 0, 0, 0, 0, 0, 0 FROM n";
    const QUEUES: &str = "SELECT tenant_shard FROM custom_domains ORDER BY next_attempt_at";

    macro_rules! queues_after_migration {
        ($pool:expr, $pools:expr) => {{
            let database = Database::new($pools);
            database.migrate(&earlier(31)).await.unwrap();
            $pool.execute(CROWD).await.unwrap();
            database.migrate(&SCHEMA).await.unwrap();
            let rows = $pool.fetch_all(QUEUES).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>()
        }};
    }

    #[tokio::test]
    async fn a_crowd_of_an_earlier_version_waits_in_the_second_queue_but_for_sixteen() {
        let expected = [[7; 16].as_slice(), &[71; 4]].concat();
        let sqlite = SqlitePoolOptions::new().max_connections(1);
        let sqlite = sqlite.connect("sqlite::memory:").await.unwrap();
        let pools = Pools::Sqlite {
            writer: sqlite.clone(),
            readers: sqlite.clone(),
        };
        assert_eq!(queues_after_migration!(sqlite, pools), expected);
        let url = dps_lab::postgres::fresh_database().await.unwrap();
        let postgres = PgPool::connect(&url).await.unwrap();
        assert_eq!(
            queues_after_migration!(postgres, Pools::Postgres(postgres.clone())),
            expected
        );
    }

    /// Records as versions before the fleet's view wrote them: phase, last failure, and the state
    /// that follows.
    const STATES: [(&str, &str, &str); 11] = [
        (r#"{"onboarding":"awaitingDns"}"#, "", "PendingDns//"),
        (
            r#"{"onboarding":"awaitingDns"}"#,
            r#"{"code":"DNS_TIMEOUT","resolvers":[],"resolverOutage":true}"#,
            "PendingDns/operator/DNS_TIMEOUT",
        ),
        (
            r#"{"onboarding":"awaitingDns"}"#,
            r#"{"code":"DNS_TIMEOUT","resolvers":[],"resolverOutage":false}"#,
            "PendingDns/customer/DNS_TIMEOUT",
        ),
        (
            r#"{"onboarding":"awaitingHttpProbe"}"#,
            "",
            "PendingHttpProbe//",
        ),
        (
            r#"{"onboarding":{"validating":{"order":"01890000-0000-7000-8000-000000000001"}}}"#,
            r#"{"code":"ACME_CA_UNAVAILABLE","detail":""}"#,
            "Issuing/nobody/ACME_CA_UNAVAILABLE",
        ),
        (
            r#"{"live":{"serving":"01890000-0000-7000-8000-000000000001","notAfter":"2027-01-01T00:00:00Z","next":{"at":"2026-12-01T00:00:00Z"}}}"#,
            r#"{"code":"EDGE_REJECTED","edge":"","reason":""}"#,
            "Active/operator/EDGE_REJECTED",
        ),
        (
            r#"{"expired":{"certificate":"01890000-0000-7000-8000-000000000001","notAfter":"2027-01-01T00:00:00Z","issuance":"awaitingDns"}}"#,
            r#"{"code":"DNS_NXDOMAIN"}"#,
            "Failed/customer/DNS_NXDOMAIN",
        ),
        (
            r#""failed""#,
            r#"{"code":"CAA_FORBIDS","record":""}"#,
            "Failed/customer/CAA_FORBIDS",
        ),
        (r#""leaving""#, "", "PendingRemoval//"),
        (r#""gone""#, "", "Removed//"),
        ("{", "{", "Failed//"),
    ];
    const FOUND: &str = "SELECT record.status || '/' || record.actor || '/' || record.failure_code, record.hostname_reversed, \
        record.status_since, CAST(COUNT(state.domain_id) AS BIGINT), CAST(COUNT(name.domain_id) AS BIGINT) FROM custom_domains AS record \
        LEFT JOIN domain_states AS state ON state.domain_id = record.id AND state.status = record.status \
        AND state.actor = record.actor AND state.failure_code = record.failure_code AND state.name = record.hostname \
        LEFT JOIN domain_names AS name ON name.domain_id = record.id AND name.tenant = record.tenant_id \
        AND name.name = record.hostname AND name.reversed = record.hostname_reversed \
        GROUP BY record.id, record.status, record.actor, record.failure_code, record.hostname_reversed, record.status_since, \
        record.next_attempt_at ORDER BY record.next_attempt_at";

    macro_rules! states_after_migration {
        ($pool:expr, $pools:expr) => {{
            let database = Database::new($pools);
            database.migrate(&earlier(32)).await.unwrap();
            for (index, (phase, failure, _)) in STATES.iter().enumerate() {
                let failure = match *failure {
                    "" => "NULL".to_owned(),
                    failure => format!("'{failure}'"),
                };
                let insert = format!(
                    "INSERT INTO custom_domains (id, tenant_id, hostname, cname_target, phase, attempt, next_attempt_at, pending_since, \
                     failed_validations, order_not_before, last_failure, cabinet_version, revision, created_at, updated_at) \
                     VALUES ('id-{index}', 'tenant', 'www.shop-{index}.example', '', '{phase}', 0, {index}, 0, 0, 0, {failure}, 0, 0, 0, 7)"
                );
                $pool.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
            }
            database.migrate(&SCHEMA).await.unwrap();
            let rows = $pool.fetch_all(FOUND).await.unwrap();
            let found = rows.iter().map(|row| {
                (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))
            });
            found.collect::<Vec<(String, String, i64, i64, i64)>>()
        }};
    }

    #[tokio::test]
    async fn records_of_an_earlier_version_are_found_by_their_state_and_names() {
        let expected = STATES.iter().enumerate().map(|(index, (_, _, state))| {
            let reversed = format!("example.shop-{index}.www.");
            ((*state).to_owned(), reversed, 7, 1, 1)
        });
        let expected: Vec<_> = expected.collect();
        let sqlite = SqlitePoolOptions::new().max_connections(1);
        let sqlite = sqlite.connect("sqlite::memory:").await.unwrap();
        let pools = Pools::Sqlite {
            writer: sqlite.clone(),
            readers: sqlite.clone(),
        };
        assert_eq!(states_after_migration!(sqlite, pools), expected);
        let url = dps_lab::postgres::fresh_database().await.unwrap();
        let postgres = PgPool::connect(&url).await.unwrap();
        assert_eq!(
            states_after_migration!(postgres, Pools::Postgres(postgres.clone())),
            expected
        );
    }
}
