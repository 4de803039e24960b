//! The tenants of targets, also of domains that are forgotten.

use dps_domain::ownership::TargetHolder;
use dps_domain::retention::Prunable;

use crate::world::{World, at, host};

const DAY: i64 = 24 * 60 * 60;

pub(crate) async fn a_target_is_of_the_tenant_that_had_it_first_until_long_after_it_was_last_noted(
    world: World,
) {
    let store = &world.store;
    let target = host("a1.t.platform.example");
    let holder = async || store.target_holder(target.as_str()).await.unwrap();
    assert_eq!(holder().await, TargetHolder::Nobody);
    let one = TargetHolder::Tenant("one".to_owned());
    for (tenant, day) in [("one", 0), ("two", 1), ("one", 100), ("two", 300)] {
        let noted = store.target_note(&target, tenant, at(day * DAY)).await;
        assert_eq!(noted.unwrap(), one, "{tenant} {day}");
    }
    assert_eq!(holder().await, one);
    let other = host("b2.t.platform.example");
    store
        .target_note(&other, "two", at(200 * DAY))
        .await
        .unwrap();

    // The notes of the other tenant keep nothing.
    let before = at(500 * DAY - 1);
    assert_eq!(world.prune(Prunable::Target, before, 10).await, 0);
    assert_eq!(world.prune(Prunable::Target, at(500 * DAY), 10).await, 1);
    assert_eq!(holder().await, TargetHolder::Nobody);
    assert_ne!(
        store.target_holder(other.as_str()).await.unwrap(),
        TargetHolder::Nobody
    );
}
