//! Damage and left-overs in the directory are set aside, and HAProxy starts with the rest.

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
    let issued: Vec<_> = names.iter().map(|name| world.authority.issue(name)).collect();
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
    assert_eq!(world.client().inventory(None, 10).await.unwrap().items.len(), 1);

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
    std::fs::write(world.state("crt-list.txt"), format!("{}\n", shorter.join("\n"))).unwrap();
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
