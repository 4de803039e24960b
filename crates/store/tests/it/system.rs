//! The replicas, the periodic tasks and the database.

use std::time::Duration;

use dps_application::ports::store::Replica;

use crate::world::{World, at};

fn replica(name: &str, started: i64, seen: i64) -> Replica {
    Replica {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        roles: vec!["workers".to_owned(), "admin".to_owned()],
        started_at: at(started),
        seen_at: at(seen),
    }
}

pub(crate) async fn replicas_are_listed_until_they_are_silent_and_tasks_with_their_last_run(
    world: World,
) {
    let store = &world.store;
    let [one, two] = [replica("b", 1, 10), replica("a", 2, 20)];
    store.replica_put(&one, at(0)).await.unwrap();
    store.replica_put(&two, at(0)).await.unwrap();
    assert_eq!(store.replicas(10).await.unwrap(), [two.clone(), one]);
    assert_eq!(store.replicas(1).await.unwrap(), [two]);
    let again = replica("a", 30, 40);
    store.replica_put(&again, at(11)).await.unwrap();
    assert_eq!(store.replicas(10).await.unwrap(), [again]);

    store.periodic_make_due("later", at(100)).await.unwrap();
    let ttl = Duration::from_secs(60);
    let lease = store.periodic_acquire("now", at(0), ttl, at(0)).await;
    let lease = lease.unwrap().unwrap();
    let tasks = async || store.periodic_tasks(10).await.unwrap();
    let [later, now] = tasks().await.try_into().unwrap();
    assert_eq!(
        (later.name.as_str(), later.due_at),
        ("later", Some(at(100)))
    );
    assert_eq!((later.leased_until, later.ran_at), (None, None));
    assert_eq!((now.name.as_str(), now.due_at), ("now", None));
    assert_eq!((now.leased_until, now.ran_at), (Some(at(60)), None));
    store.periodic_release(&lease, None, at(200)).await.unwrap();
    let [_, now] = tasks().await.try_into().unwrap();
    assert_eq!((now.due_at, now.leased_until), (Some(at(200)), None));
    assert!(now.ran_at.is_some());
    assert_eq!(store.periodic_tasks(1).await.unwrap().len(), 1);
    assert!(!store.database_state().await.unwrap().kind.is_empty());
}
