//! Another CA takes the place of the one that live certificates come from only when an operator
//! says so.

use std::time::Duration;

use dps_application::ca::directory::{DirectoryError, claim};
use dps_domain::phase::{Next, Phase};
use dps_domain::{FailureCode, Status};

use super::world::{HOST, World};

const OURS: &str = "https://ca.test/dir";
const ANOTHER: &str = "https://another-ca.test/dir";
const DAY: Duration = Duration::from_secs(24 * 3600);

impl World {
    async fn claim(&self, directory: &str, accept: bool) -> Result<(), DirectoryError> {
        claim(self.service.store.as_ref(), directory, accept).await
    }

    async fn until_renewal(&self) {
        let Phase::Live {
            next: Next::At(at), ..
        } = self.record().await.phase
        else {
            panic!("not live")
        };
        self.advance(at.since(self.service.now()));
        self.settle().await;
    }
}

#[tokio::test]
async fn no_other_directory_starts_on_live_certificates_without_the_operators_word() {
    let world = World::with_due_domain().await;
    world.claim(ANOTHER, false).await.unwrap();
    world.claim(OURS, false).await.unwrap();
    world.settle().await;
    for _ in 0..2 {
        let refused = world.claim(ANOTHER, false).await.unwrap_err().to_string();
        for word in [
            OURS,
            ANOTHER,
            "LetsEncrypt:DirectoryUrl",
            "LetsEncrypt:AcceptDirectoryChange",
        ] {
            assert!(refused.contains(word), "{refused}");
        }
    }
    world.claim(OURS, false).await.unwrap();
    world.claim(ANOTHER, true).await.unwrap();
    // The word is needed once, although certificates of the old directory are served for weeks.
    world.claim(ANOTHER, false).await.unwrap();
}

#[tokio::test]
async fn a_store_of_an_older_version_is_guarded_by_what_it_serves() {
    let world = World::with_due_domain().await;
    world.settle().await;
    assert!(world.claim(ANOTHER, false).await.is_err());
    world.claim(OURS, false).await.unwrap();
}

#[tokio::test]
async fn a_replica_whose_directory_was_replaced_renews_nothing_and_the_others_do() {
    let world = World::with_due_domain().await;
    world.claim(OURS, false).await.unwrap();
    world.settle().await;
    let served = world.edges.served(HOST);
    world.claim(ANOTHER, true).await.unwrap();
    world.until_renewal().await;
    let failure = world.record().await.last_failure.unwrap();
    assert_eq!(failure.code(), FailureCode::Internal);
    let detail = serde_json::to_string(&failure).unwrap();
    assert!(
        detail.contains("LetsEncrypt:AcceptDirectoryChange"),
        "{detail}"
    );
    assert_eq!(world.edges.served(HOST), served);
    assert_eq!(world.ca.orders_for(HOST), 1);

    world.ca.become_another();
    world.advance(DAY);
    world.settle().await;
    assert_eq!(world.record().await.last_failure, None);
    assert_ne!(world.edges.served(HOST), served);
}

#[tokio::test]
async fn an_order_under_way_at_the_old_directory_gives_way_to_one_at_the_new() {
    for steps in 3..=4 {
        let world = World::with_due_domain().await;
        world.claim(OURS, false).await.unwrap();
        for _ in 0..steps {
            world.step().await;
        }
        world.claim(ANOTHER, true).await.unwrap();
        world.ca.become_another();
        for _ in 0..3 {
            world.settle().await;
            world.advance(DAY / 24);
        }
        assert_eq!(
            world.record().await.phase.status(),
            Status::Active,
            "{steps}"
        );
        assert_eq!(world.ca.orders_for(HOST), 2, "{steps}");
    }
}
