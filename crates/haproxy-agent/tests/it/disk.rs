//! Damage and left-overs in the directory are set aside, and HAProxy starts with the rest.

use std::os::unix::fs::symlink;

use crate::world::World;

#[tokio::test]
async fn a_damaged_file_is_quarantined_and_the_others_are_served() {
    let mut world = World::new().await;
    let names = [
        "cut.example.com",
        "swapped.example.com",
        "gone.example.com",
        "kept.example.com",
    ];
    let issued: Vec<_> = names
        .iter()
        .map(|name| world.authority.issue(name))
        .collect();
    for one in &issued {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    world.kill_haproxy();
    world.stop_agent().await;
    let path = |n: usize| world.store(&issued[n].hostname).as_str().to_owned();
    let cut = std::fs::read_to_string(path(0)).unwrap();
    std::fs::write(path(0), &cut[..cut.len() / 2]).unwrap();
    std::fs::copy(path(3), path(1)).unwrap();
    std::fs::remove_file(path(2)).unwrap();
    std::fs::write(world.state("certs/foreign.pem"), "foreign").unwrap();
    std::fs::create_dir_all(world.state("certs/00/folder.pem")).unwrap();

    world.start_agent().await;
    world.assert_loadable();
    world.start_haproxy().await;

    world.assert_serves(&issued[3]).await;
    for one in &issued[..3] {
        assert_eq!(world.visit(&one.hostname).await, None, "{}", one.hostname);
    }
    assert_eq!(world.client().health().await.unwrap().quarantined, 4);
    assert_eq!(
        world
            .client()
            .inventory(None, 10)
            .await
            .unwrap()
            .items
            .len(),
        1
    );

    world.client().apply(&issued[0].request(1)).await.unwrap();
    world.assert_serves(&issued[0]).await;
}

#[tokio::test]
async fn what_an_interrupted_apply_left_behind_is_not_served() {
    let mut world = World::new().await;
    let (served, unlisted) = (
        world.authority.issue("served.example.com"),
        world.authority.issue("late.example.com"),
    );
    for issued in [&served, &unlisted] {
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    world.kill_haproxy();
    world.stop_agent().await;
    let list = std::fs::read_to_string(world.state("crt-list.txt")).unwrap();
    let shorter: Vec<_> = list.lines().filter(|line| !line.contains("late")).collect();
    std::fs::write(
        world.state("crt-list.txt"),
        format!("{}\n", shorter.join("\n")),
    )
    .unwrap();
    std::fs::write(world.state("staging/half"), "-----BEGIN").unwrap();
    world.assert_loadable();

    world.start_agent().await;
    world.start_haproxy().await;

    world.assert_serves(&served).await;
    assert_eq!(world.visit(&unlisted.hostname).await, None);
    assert!(!world.state("staging/half").exists());
}

#[tokio::test]
async fn a_lost_crt_list_is_rebuilt_from_the_certificates() {
    let mut world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    world.kill_haproxy();
    world.stop_agent().await;
    std::fs::remove_file(world.state("crt-list.txt")).unwrap();

    world.start_agent().await;
    world.start_haproxy().await;

    world.assert_serves(&issued).await;
}

#[tokio::test]
async fn a_crt_list_that_is_cut_emptied_or_no_file_costs_no_certificate() {
    let mut world = World::new().await;
    let names = ["one.example.com", "two.example.com", "three.example.com"];
    let issued: Vec<_> = names
        .iter()
        .map(|name| world.authority.issue(name))
        .collect();
    for one in &issued {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    let list = world.state("crt-list.txt");
    let whole = std::fs::read_to_string(&list).unwrap();
    for damage in ["", "# my own list\n", &whole[..whole.len() - 5], "a folder"] {
        world.kill_haproxy();
        world.stop_agent().await;
        std::fs::remove_file(&list).unwrap();
        if damage == "a folder" {
            std::fs::create_dir(&list).unwrap();
        } else {
            std::fs::write(&list, damage).unwrap();
        }

        world.start_agent().await;
        world.start_haproxy().await;

        assert_eq!(std::fs::read_to_string(&list).unwrap(), whole, "{damage}");
        for one in &issued {
            world.assert_serves(one).await;
        }
    }
    assert_eq!(world.client().health().await.unwrap().quarantined, 1);
}

#[tokio::test]
async fn links_in_the_directory_lead_the_agent_nowhere() {
    let mut world = World::new().await;
    let (kept, linked) = (
        world.authority.issue("kept.example.com"),
        world.authority.issue("linked.example.com"),
    );
    for issued in [&kept, &linked] {
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    world.kill_haproxy();
    world.stop_agent().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = elsewhere.path().join("stranger.pem");
    std::fs::write(&stranger, "somebody else's").unwrap();
    let name = world.store(&linked.hostname).as_str().to_owned();
    std::fs::rename(&name, elsewhere.path().join("moved.pem")).unwrap();
    symlink(elsewhere.path().join("moved.pem"), &name).unwrap();
    symlink(elsewhere.path(), world.state("certs/zz")).unwrap();

    world.start_agent().await;
    world.assert_loadable();
    world.start_haproxy().await;

    world.assert_serves(&kept).await;
    assert_eq!(world.visit(&linked.hostname).await, None);
    assert_eq!(world.client().health().await.unwrap().quarantined, 2);
    assert_eq!(
        std::fs::read_to_string(&stranger).unwrap(),
        "somebody else's"
    );
    world.client().apply(&linked.request(1)).await.unwrap();
    world.assert_serves(&linked).await;
    assert!(std::fs::symlink_metadata(&name).unwrap().is_file());

    // The agent empties its staging area at start: it must be its own.
    world.stop_agent().await;
    std::fs::remove_dir(world.state("staging")).unwrap();
    symlink(elsewhere.path(), world.state("staging")).unwrap();
    let refused = world.bind_agent().await.err().unwrap();
    assert!(
        format!("{refused:?}").contains("symbolic link"),
        "{refused:?}"
    );
    assert_eq!(
        std::fs::read_to_string(&stranger).unwrap(),
        "somebody else's"
    );
    std::fs::remove_file(world.state("staging")).unwrap();
    world.start_agent().await;
}
