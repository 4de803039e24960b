//! Calls that carry an idempotency key.

use std::time::Duration;

use dps_domain::idempotency::{KEPT, KeptAnswer, KeyState, KeyedCall, LONGEST_CALL, MAX_KEYS};
use dps_domain::retention::Prunable;

use crate::world::{World, at};

fn call(holder: &str, key: &str, fingerprint: &str) -> KeyedCall {
    KeyedCall {
        holder: holder.to_owned(),
        key: key.to_owned(),
        fingerprint: fingerprint.to_owned(),
    }
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 200,
        body: Some(body.to_owned()),
    }
}

pub(crate) async fn a_repeated_call_gets_the_first_answer_and_another_call_does_not(world: World) {
    let store = &world.store;
    let (first, other) = (call("ann", "key", "1"), call("ann", "key", "2"));
    let begin = async |call: &KeyedCall, second| store.keyed_begin(call, at(second)).await.unwrap();
    assert_eq!(begin(&first, 0).await, KeyState::New);
    assert_eq!(begin(&first, 1).await, KeyState::UnderWay);
    assert_eq!(begin(&other, 1).await, KeyState::OtherCall);
    // Each holder has keys of its own.
    assert_eq!(begin(&call("bob", "key", "2"), 1).await, KeyState::New);
    let kept = answer(r#"{"a":1}"#);
    assert!(store.keyed_answer(&first, at(0), &kept).await.unwrap());
    assert_eq!(begin(&first, 2).await, KeyState::Answered(kept.clone()));
    assert_eq!(begin(&other, 2).await, KeyState::OtherCall);
    // The first answer stays.
    assert!(
        !store
            .keyed_answer(&first, at(0), &answer(""))
            .await
            .unwrap()
    );
    store.keyed_release(&first, at(0)).await.unwrap();
    assert_eq!(begin(&first, 3).await, KeyState::Answered(kept));

    // A call that changed nothing frees its key.
    let refused = call("ann", "refused", "1");
    assert_eq!(begin(&refused, 5).await, KeyState::New);
    store.keyed_release(&refused, at(5)).await.unwrap();
    assert_eq!(begin(&refused, 6).await, KeyState::New);
    let long = KeptAnswer {
        status: 409,
        body: None,
    };
    assert!(store.keyed_answer(&refused, at(6), &long).await.unwrap());
    assert_eq!(begin(&refused, 7).await, KeyState::Answered(long));
}

pub(crate) async fn a_key_is_taken_over_from_a_dead_process_and_after_a_day(world: World) {
    let store = &world.store;
    let dead = call("ann", "key", "1");
    assert_eq!(
        store.keyed_begin(&dead, at(0)).await.unwrap(),
        KeyState::New
    );
    let late = at(0) + LONGEST_CALL;
    assert_eq!(store.keyed_begin(&dead, late).await.unwrap(), KeyState::New);
    // The answer of the first comes too late.
    assert!(
        !store
            .keyed_answer(&dead, at(0), &answer("0"))
            .await
            .unwrap()
    );
    store.keyed_release(&dead, at(0)).await.unwrap();
    assert!(store.keyed_answer(&dead, late, &answer("1")).await.unwrap());

    let day = late + KEPT;
    assert_eq!(
        world
            .prune(Prunable::IdempotencyKey, day - Duration::from_secs(1), 10)
            .await,
        0
    );
    let other = call("ann", "key", "2");
    assert_eq!(store.keyed_begin(&other, day).await.unwrap(), KeyState::New);
    assert_eq!(world.prune(Prunable::IdempotencyKey, day, 10).await, 0);
    assert_eq!(
        world.prune(Prunable::IdempotencyKey, day + KEPT, 10).await,
        1
    );
}

pub(crate) async fn a_holder_has_keys_up_to_a_number(world: World) {
    let store = &world.store;
    for number in 0..MAX_KEYS {
        let call = call("ann", &number.to_string(), "");
        assert_eq!(
            store.keyed_begin(&call, at(0)).await.unwrap(),
            KeyState::New
        );
    }
    let one_more = call("ann", "one more", "");
    let state = store.keyed_begin(&one_more, at(0)).await.unwrap();
    assert_eq!(state, KeyState::TooMany);
    let of_another = call("bob", "one more", "");
    assert_eq!(
        store.keyed_begin(&of_another, at(0)).await.unwrap(),
        KeyState::New
    );
    let known = call("ann", "7", "");
    assert_eq!(
        store.keyed_begin(&known, at(1)).await.unwrap(),
        KeyState::UnderWay
    );
}
