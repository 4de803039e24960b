//! Sealed secrets as the key rotation sees them.

use dps_application::ports::store::StoredAccount;
use dps_application::ports::vault::SecretPurpose;

use crate::world::{World, at, certificate, sealed};

pub(crate) async fn every_secret_is_listed_in_pages_and_replaced_if_unchanged(world: World) {
    let mut orders = Vec::new();
    let mut certificates = Vec::new();
    let mut directories = Vec::new();
    for n in 0..5 {
        let name = format!("host-{n}.example");
        let domain = world.with_due(&name, at(0)).await.id;
        let without_key = world.with_order(domain).await;
        world
            .store
            .order_close(without_key.id, at(1))
            .await
            .unwrap();
        let done = world.with_order(domain).await;
        world
            .store
            .order_put_key(done.id, &sealed("old"))
            .await
            .unwrap();
        let new = certificate(&done, &name, at(n));
        world.store.certificate_insert(&new).await.unwrap();
        let order = world.with_order(domain).await;
        world
            .store
            .order_put_key(order.id, &sealed("old"))
            .await
            .unwrap();
        let account = StoredAccount {
            directory_url: format!("https://CA-{n}.example/dir"),
            key: sealed("old"),
            url: None,
            created_at: at(0),
        };
        world.store.account_insert(&account).await.unwrap();
        orders.push(order.id.to_string());
        certificates.push(new.id.to_string());
        directories.push(account.directory_url);
    }
    for (purpose, mut expected) in [
        (SecretPurpose::AccountKey, directories),
        (SecretPurpose::OrderKey, orders),
        (SecretPurpose::CertificateKey, certificates),
    ] {
        expected.sort();
        let mut seen: Vec<String> = Vec::new();
        loop {
            let page = world
                .store
                .secrets(purpose, seen.last().map(String::as_str), 2)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 2);
            for row in page {
                assert_eq!(row.purpose, purpose);
                assert!(
                    world
                        .store
                        .secret_replace(&row, &sealed("new"))
                        .await
                        .unwrap()
                );
                let late = world
                    .store
                    .secret_replace(&row, &sealed("late"))
                    .await
                    .unwrap();
                assert!(!late, "the secret was replaced meanwhile");
                seen.push(row.row);
            }
        }
        assert_eq!(seen, expected, "{purpose:?}");
        let rows = world.store.secrets(purpose, None, 100).await.unwrap();
        assert!(rows.iter().all(|row| row.sealed == sealed("new")));
    }
}
