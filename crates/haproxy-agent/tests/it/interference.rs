//! Another process changes the agent's directory or socket while it runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dps_agent_api::{HealthStatus, ProblemCode};
use dps_host::HumanDuration;

use crate::authority::Issued;
use crate::batches::metric;
use crate::world::{World, eventually};

/// A world whose agent compares everything again every second.
async fn watchful() -> World {
    let mut world =
        World::with_settings(|settings| settings.audit_interval = HumanDuration::from_secs(1))
            .await;
    world.start_haproxy().await;
    world
}

async fn apply_all(world: &World, names: &[&str]) -> Vec<Issued> {
    let issued: Vec<_> = names
        .iter()
        .map(|name| world.authority.issue(name))
        .collect();
    for one in &issued {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    issued
}

#[tokio::test]
async fn files_that_are_lost_damaged_replaced_or_opened_are_found_before_haproxy_needs_them() {
    let mut world = watchful().await;
    let names = [
        "lost.example.com",
        "cut.example.com",
        "replaced.example.com",
        "open.example.com",
        "kept.example.com",
    ];
    let issued = apply_all(&world, &names).await;
    let path = |n: usize| world.store(&issued[n].hostname).as_str().to_owned();
    let (lost, cut, replaced, open) = (path(0), path(1), path(2), path(3));

    // A file as an operator would restore it from a backup: the same form, another certificate.
    let other = world.authority.issue("replaced.example.com");
    let text = format!(
        "# hostname=replaced.example.com generation=2\n{}{}",
        other.chain.to_pem(),
        secrecy::ExposeSecret::expose_secret(&other.key.to_pem())
    );
    fs::write(&replaced, text).unwrap();
    let whole = fs::read_to_string(&cut).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(
        &world.settings.state_directory,
        Permissions::from_mode(0o755),
    )
    .unwrap();
    fs::remove_file(&lost).unwrap();

    eventually("all of it is found", async || {
        metric(&world, "drift_total{kind=\"file\"}").await == 3
            && world.visit(&other.hostname).await.as_deref() == Some(other.fingerprint())
    })
    .await;
    world.assert_loadable();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (
            mode(Path::new(&open)),
            mode(&world.settings.state_directory)
        ),
        (0o600, 0o700)
    );
    // HAProxy still has the two in its memory, and the service can see that the agent does not.
    let held = world.client().inventory(None, 10).await.unwrap().items;
    assert_eq!(held.len(), 3);
    let audited = world.client().health().await.unwrap().last_repair_at;
    eventually("a later comparison is done", async || {
        world.client().health().await.unwrap().last_repair_at > audited
    })
    .await;
    for one in [&issued[0], &issued[1], &issued[3], &issued[4], &other] {
        world.assert_serves(one).await;
    }

    // Also an apply that is refused leaves it to HAProxy.
    let too_long = world.authority.issue_padded(names[0], 30_000);
    world
        .client()
        .apply(&too_long.request(1))
        .await
        .unwrap_err();
    world.assert_serves(&issued[0]).await;

    for one in &issued[..2] {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    world.kill_haproxy();
    world.start_haproxy().await;
    for one in [&issued[0], &issued[1], &issued[3], &issued[4], &other] {
        world.assert_serves(one).await;
    }
    world.assert_loadable();
}

#[tokio::test]
async fn a_crt_list_that_somebody_changed_is_written_anew() {
    let mut world = watchful().await;
    let issued = apply_all(&world, &["one.example.com", "two.example.com"]).await;
    let list = world.state("crt-list.txt");
    let whole = fs::read_to_string(&list).unwrap();
    fs::write(&list, "").unwrap();
    eventually("the list is as it was", async || {
        fs::read_to_string(&list).is_ok_and(|text| text == whole)
    })
    .await;
    assert_eq!(metric(&world, "drift_total{kind=\"list\"}").await, 1);
    world.kill_haproxy();
    world.start_haproxy().await;
    for one in &issued {
        world.assert_serves(one).await;
    }
}

#[tokio::test]
async fn a_directory_that_was_taken_away_is_not_taken_for_an_empty_one() {
    let world = watchful().await;
    let issued = apply_all(&world, &["one.example.com", "two.example.com"]).await;
    let (state, aside) = (
        world.settings.state_directory.clone(),
        world.settings.state_directory.with_extension("aside"),
    );
    let before = world.files();
    fs::rename(&state, &aside).unwrap();
    // As if a file system were not mounted: the place is there, and nothing in it.
    fs::create_dir_all(state.join("staging")).unwrap();
    fs::create_dir_all(state.join("certs")).unwrap();

    eventually("the agent says that it is another directory", async || {
        let health = world.client().health().await.unwrap();
        health.status == HealthStatus::Degraded
            && health
                .haproxy
                .problem
                .is_some_and(|problem| problem.contains("not the directory"))
    })
    .await;
    assert_eq!(
        world
            .client()
            .inventory(None, 10)
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    for one in &issued {
        world.assert_serves(one).await;
    }
    let refused = world.client().apply(&issued[0].request(2)).await;
    assert!(refused.is_err());

    fs::remove_dir_all(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    eventually("the agent is well again", async || {
        world.client().health().await.unwrap().status == HealthStatus::Ok
    })
    .await;
    assert_eq!(world.files(), before);
    world.client().apply(&issued[0].request(2)).await.unwrap();
    world.assert_loadable();
}

#[tokio::test]
async fn another_socket_in_the_place_of_haproxys_is_noticed_and_so_is_its_return() {
    let world = watchful().await;
    let issued = apply_all(&world, &["one.example.com"]).await;
    let socket = Path::new(&world.settings.haproxy_socket);
    let aside = socket.with_extension("aside");
    fs::rename(socket, &aside).unwrap();
    let imposter = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let answers = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        // Until it is stopped by an empty connection.
        while let Ok((mut stream, _)) = imposter.accept() {
            let mut asked = [0; 4096];
            match stream.read(&mut asked) {
                Ok(0) => return,
                _ => stream.write_all(b"Success!\n\n").ok(),
            };
        }
    });
    let new = world.authority.issue("new.example.com");
    let refused = world.client().apply(&new.request(1)).await;
    assert!(
        format!("{refused:?}").contains(ProblemCode::HaproxyUnreachable.as_str()),
        "{refused:?}"
    );
    let connection = std::os::unix::net::UnixStream::connect(socket).unwrap();
    connection.shutdown(std::net::Shutdown::Both).unwrap();
    answers.join().unwrap();
    fs::rename(&aside, socket).unwrap();

    eventually("the agent works with HAProxy again", async || {
        world.client().apply(&new.request(1)).await.is_ok()
    })
    .await;
    world.assert_serves(&new).await;
    world.assert_serves(&issued[0]).await;
    world.assert_loadable();
}
