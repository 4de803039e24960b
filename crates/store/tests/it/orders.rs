//! Orders, challenges and accounts.

use dps_application::ports::store::{StoreError, StoredAccount, StoredChallenge};

use dps_domain::{DomainId, Phase};

use crate::world::{World, at, order, quiet, sealed};

pub(crate) async fn a_domain_has_one_open_order(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let neighbour = world.with_due("other.example", at(0)).await.id;
    let theirs = world.with_order(neighbour).await;
    assert_eq!(world.store.order_open(domain).await.unwrap(), None);
    let first = world.with_order(domain).await;
    assert_eq!(
        world.store.order_open(domain).await.unwrap(),
        Some(first.clone())
    );
    let second = world.with_order(domain).await;
    assert_eq!(
        world.store.order_open(domain).await.unwrap(),
        Some(second.clone())
    );
    assert!(!world.store.order(first.id).await.unwrap().unwrap().open);
    world.place(&second).await;
    assert_eq!(
        world.store.order_open(domain).await.unwrap(),
        Some(second.clone()),
        "stored a second time, it is still the open one"
    );
    world.store.order_close(second.id, at(1)).await.unwrap();
    assert_eq!(world.store.order_open(domain).await.unwrap(), None);
    assert_eq!(
        world.store.order_open(neighbour).await.unwrap(),
        Some(theirs)
    );
}

pub(crate) async fn two_workers_that_place_orders_leave_one_open(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let other = world.open_again().await;
    let token = world.lease_of(domain).await;
    let mut placed = Vec::new();
    for _ in 0..20 {
        let (mine, theirs) = (order(domain), order(domain));
        let (first, second) = tokio::join!(
            world.store.order_insert(&mine, token),
            other.order_insert(&theirs, token)
        );
        first.unwrap();
        second.unwrap();
        let open = world.store.order_open(domain).await.unwrap().unwrap();
        assert!([mine.id, theirs.id].contains(&open.id));
        placed.extend([mine.id, theirs.id]);
        let mut open = 0;
        for id in &placed {
            open += usize::from(world.store.order(*id).await.unwrap().unwrap().open);
        }
        assert_eq!(open, 1);
    }
}

pub(crate) async fn a_step_that_lost_its_lease_stores_no_order(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let stale = world.lease_of(domain).await;
    // Another tenant proved the name meanwhile, say.
    let mut record = world.read(domain).await;
    record.phase = Phase::Failed;
    assert!(world.store.domain_update(quiet(record)).await.unwrap());
    let late = order(domain);
    let stored = world.store.order_insert(&late, stale).await;
    assert!(matches!(stored, Err(StoreError::LeaseLost)), "{stored:?}");
    assert_eq!(world.store.order(late.id).await.unwrap(), None);
    assert_eq!(world.store.order_open(domain).await.unwrap(), None);
    let nobodys = order(DomainId::from_uuid(uuid::Uuid::nil()));
    let stored = world.store.order_insert(&nobodys, stale).await;
    assert!(matches!(stored, Err(StoreError::LeaseLost)), "{stored:?}");
}

pub(crate) async fn an_order_key_put_twice_keeps_the_first(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let stored = world.with_order(domain).await;
    for key in ["first", "second"] {
        let kept = world
            .store
            .order_put_key(stored.id, &sealed(key))
            .await
            .unwrap();
        assert_eq!(kept.0, b"first");
    }
    assert_eq!(
        world.store.order(stored.id).await.unwrap().unwrap().key,
        Some(sealed("first"))
    );
    let unknown = world
        .store
        .order_put_key(order(domain).id, &sealed("x"))
        .await;
    assert!(
        matches!(
            unknown,
            Err(StoreError::Corrupt {
                table: "acme_orders",
                ..
            })
        ),
        "{unknown:?}"
    );
}

pub(crate) async fn an_orders_challenge_is_replaced_and_withdrawn(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let order = world.with_order(domain).await.id;
    assert_eq!(world.store.challenge(order).await.unwrap(), None);
    for token in ["first", "second"] {
        let challenge = StoredChallenge {
            order_id: order,
            url: format!("https://ca.example/challenge/{token}"),
            token: token.to_owned(),
            key_authorization: format!("{token}.thumbprint"),
        };
        world.store.challenge_put(&challenge).await.unwrap();
        assert_eq!(world.store.challenge(order).await.unwrap(), Some(challenge));
    }
    world.store.challenge_delete(order).await.unwrap();
    world.store.challenge_delete(order).await.unwrap();
    assert_eq!(world.store.challenge(order).await.unwrap(), None);
}

pub(crate) async fn an_account_is_stored_once_and_then_registered(world: World) {
    let directory = "https://ca.example/dir";
    let account = |key: &str| StoredAccount {
        directory_url: directory.to_owned(),
        key: sealed(key),
        url: None,
        created_at: at(0),
    };
    assert_eq!(world.store.account(directory).await.unwrap(), None);
    let unknown = world
        .store
        .account_set_url(directory, "https://ca.example/acct/1")
        .await;
    assert!(
        matches!(unknown, Err(StoreError::Corrupt { .. })),
        "nobody believes in an account that is not stored"
    );
    for key in ["first", "second"] {
        let kept = world.store.account_insert(&account(key)).await.unwrap();
        assert_eq!(kept, account("first"));
    }
    world
        .store
        .account_set_url(directory, "https://ca.example/acct/1")
        .await
        .unwrap();
    let registered = world.store.account(directory).await.unwrap().unwrap();
    assert_eq!(registered.url.as_deref(), Some("https://ca.example/acct/1"));
    assert_eq!(registered.key, sealed("first"));
}
