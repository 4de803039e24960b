//! A database that an earlier version filled is migrated with its rows.

use dps_cabinet_api::OwnershipVerification;
use dps_database::{Pools, Schema, Script};
use dps_domain::Timestamp;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor as _, PgPool};

use super::connect::SCHEMA;
use super::{Change, Database, Filter, Inserted, Store, Update};
use crate::rules::{NewClaim, Quota};
use crate::target::{TargetTemplate, label};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A removed domain, one that was created again and is served, and one that failed.
const ROWS: [&str; 2] = [
    "UPDATE cabinet_feed SET position = 5",
    "INSERT INTO cabinet_domains (id, tenant_id, hostname, canonical_host, cname_target, status, \
        last_error_code, version, created_at, updated_at, position, change_position) VALUES \
        ('00000000-0000-0000-0000-00000000000a', 'first', 'Shop.example.com', 'shop.example.com', \
         '0000000000000000000000000000000a.edge.platform.example', 'Removed', NULL, 4, 1, 1, 1, 2), \
        ('00000000-0000-0000-0000-00000000000b', 'second', 'shop.example.com', 'shop.example.com', \
         '0000000000000000000000000000000b.edge.platform.example', 'Active', NULL, 3, 2, 2, 3, 3), \
        ('00000000-0000-0000-0000-00000000000c', 'first', 'www.example.com', 'www.example.com', \
         'edge.platform.example', 'Failed', 'DNS_NXDOMAIN', 7, 3, 3, 4, 5)",
];

/// The schema before the migration of this version.
fn earlier(version: i64) -> Schema {
    let before = |scripts: &'static [Script]| {
        let end = scripts.iter().position(|script| script.version == version);
        &scripts[..end.unwrap()]
    };
    Schema {
        postgres: before(SCHEMA.postgres),
        sqlite: before(SCHEMA.sqlite),
        ..SCHEMA
    }
}

/// Asserts that rows of version 2 are read, that their names can be contested, and that their
/// tenants come back to their targets.
async fn rows_of_version_2_are_read_and_contested(database: Database) {
    database.migrate(&SCHEMA).await.unwrap();
    let store = Store { database };
    let rows = store.list(&Filter::default(), 0, 10).await.unwrap();
    let seen = rows.iter().map(|row| {
        let domain = &row.domain;
        assert_eq!(domain.ownership_verification, None);
        (
            domain.tenant_id.as_str(),
            domain.status.as_str(),
            domain.version,
        )
    });
    let expected = [
        ("first", "Removed", 4),
        ("second", "Active", 3),
        ("first", "Failed", 7),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let template = TargetTemplate::new("{random}.edge.platform.example").unwrap();
    let claim = |host: &str, is_exclusive| {
        let mut domain = rows[0].domain.clone();
        domain.id = dps_domain::DomainId::new(NOW, [7; 10]);
        domain.cname_target = format!("{}.edge.platform.example", label(1));
        "PendingDns".clone_into(&mut domain.status);
        host.clone_into(&mut domain.canonical_host);
        NewClaim {
            domain,
            template: Some(&template),
            is_exclusive,
            max_per_tenant: 0,
            creations: Quota::creations(0, NOW),
        }
    };
    let refused = store.insert(claim("shop.example.com", true)).await.unwrap();
    assert!(
        matches!(&refused, Inserted::ClaimedByAnother(host) if host == "shop.example.com"),
        "{refused:?}"
    );
    let own = store.insert(claim("www.example.com", true)).await.unwrap();
    assert!(matches!(&own, Inserted::Claimed(row) if row.domain.version == 7));
    let Inserted::New(new) = store
        .insert(claim("shop.example.com", false))
        .await
        .unwrap()
    else {
        panic!("the name can be contested");
    };
    assert_eq!(new.domain.cname_target, rows[0].domain.cname_target);
    let proof = OwnershipVerification::txt("_dps-challenge.shop.example.com", "v");
    let wanted = proof.clone();
    let decide = Box::new(move |found: &crate::rules::Record| {
        let mut next = found.clone();
        next.domain.ownership_verification = Some(wanted);
        Ok(Some(next))
    });
    let id = rows[1].domain.id;
    let update = store.update(id, Change::Report, decide).await.unwrap();
    assert!(matches!(update, Update::Changed(_)), "{update:?}");
    let row = store.find(id).await.unwrap().unwrap();
    assert_eq!(row.domain.ownership_verification, Some(proof));
    store.close().await;
}

#[tokio::test]
async fn rows_of_version_2_are_read_and_contested_on_sqlite() {
    let options = SqlitePoolOptions::new().max_connections(1);
    let pool = options.connect("sqlite::memory:").await.unwrap();
    let database = Database::new(Pools::Sqlite {
        writer: pool.clone(),
        readers: pool.clone(),
    });
    database.migrate(&earlier(3)).await.unwrap();
    for statement in ROWS {
        pool.execute(statement).await.unwrap();
    }
    rows_of_version_2_are_read_and_contested(database).await;
}

#[tokio::test]
async fn rows_of_version_2_are_read_and_contested_on_postgresql() {
    let url = dps_lab::postgres::fresh_database().await.unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    let database = Database::new(Pools::Postgres(pool.clone()));
    database.migrate(&earlier(3)).await.unwrap();
    for statement in ROWS {
        pool.execute(statement).await.unwrap();
    }
    rows_of_version_2_are_read_and_contested(database).await;
}
