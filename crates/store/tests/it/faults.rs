//! The store's errors when the database is damaged.

use dps_application::ports::fleet_view::ListRequest;
use dps_application::ports::store::{CertificateStore, StoreError};
use dps_application::ports::store::{LeaseStore as _, RecordStore as _};
use dps_domain::fleet::DomainFilter;
use dps_domain::phase::Lane;

use crate::world::{TTL, World, at, quiet, record};

pub(crate) async fn a_row_edited_by_hand_is_named_with_its_column(world: World) {
    for (column, value) in [
        ("phase", "'{'"),
        ("hostname", "'no host'"),
        ("attempt", "-1"),
        ("last_failure", "'{\"code\":\"NO_SUCH\"}'"),
        ("cabinet_version", "-5"),
    ] {
        let id = world.with_due("shop.example", at(0)).await.id;
        world
            .sql(&format!(
                "UPDATE custom_domains SET {column} = {value} WHERE id = '{id}'"
            ))
            .await;
        let Err(StoreError::Corrupt { table, row, reason }) = world.store.domain(id).await else {
            panic!("{column} is corrupt")
        };
        assert_eq!((table, row), ("custom_domains", id.to_string()));
        assert!(reason.contains(column), "{reason}");
    }
    world.with_due("readable.example", at(0)).await;
    let request = ListRequest {
        filter: &DomainFilter::default(),
        now: at(0),
        after: None,
    };
    let page = world.store.fleet_list(&request, 100).await.unwrap();
    assert_eq!(page.domains.len(), 1, "the others are left out of lists");
}

pub(crate) async fn a_read_only_database_is_unavailable(world: World) {
    let stored = world.with_due("shop.example", at(0)).await;
    let read_only = world.open_read_only().await;
    assert_eq!(read_only.domain(stored.id).await.unwrap(), Some(stored));
    let unavailable = |result: Result<(), StoreError>| {
        assert!(
            matches!(result, Err(StoreError::Unavailable { .. })),
            "{result:?}"
        );
    };
    unavailable(read_only.ping().await);
    unavailable(
        read_only
            .acquire_due(Lane::Verification, at(1), TTL, 1)
            .await
            .map(drop),
    );
    unavailable(
        read_only
            .domain_insert(quiet(record("other.example")))
            .await
            .map(drop),
    );
    world.store.ping().await.unwrap();
}

pub(crate) async fn a_closed_store_is_unavailable(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    world.store.database().close().await;
    let error = world.store.domain(id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store is unavailable while trying to read a domain"
    );
    assert!(matches!(
        world.store.ping().await,
        Err(StoreError::Unavailable { .. })
    ));
}
