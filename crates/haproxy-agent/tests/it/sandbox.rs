//! The agent where it may do next to nothing: the restrictions of our systemd unit, and a disk that
//! is full.
//!
//! Without systemd as PID 1, its restrictions are applied one by one. The file system is read-only
//! except for the state directory. There are no capabilities and no new privileges. Under the
//! unit's own system call filter, any other call kills the process.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dps_agent_api::{AgentClient, AgentError};
use seccompiler::{BpfProgram, TargetArch};
use serde_json::json;

use crate::crashes::{Guarded, spawn};
use crate::world::{World, eventually};

const UNIT: &str = include_str!("../../../../deploy/systemd/haproxy-domain-agent.service");
const AGENT: &str = env!("CARGO_BIN_EXE_haproxy-domain-agent");
/// Names the file with the system calls that [`confined`] leaves.
const CALLS: &str = "DPS_TEST_SYSTEM_CALLS";

async fn ready(client: &AgentClient) {
    eventually("the agent is in line with HAProxy", async || {
        client
            .health()
            .await
            .is_ok_and(|health| health.haproxy.problem.is_none() && health.last_repair_at.is_some())
    })
    .await;
}

/// The same calls as in the unit: what `SystemCallFilter` names, less what it names with a tilde.
fn system_calls() -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for line in UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        match line.strip_prefix('~') {
            None => calls.extend(line.split(' ').flat_map(expand)),
            Some(line) => {
                for call in line.split(' ').flat_map(expand) {
                    calls.remove(&call);
                }
            }
        }
    }
    assert!(calls.contains("openat") && !calls.contains("chroot") && !calls.contains("ptrace"));
    calls
}

/// The calls of a set, with the sets inside it.
fn expand(set: &str) -> BTreeSet<String> {
    if !set.starts_with('@') {
        return BTreeSet::from([set.to_owned()]);
    }
    let analyze = dps_lab::process::find_program("systemd-analyze", "systemd", &[]).unwrap();
    let output = Command::new(analyze)
        .args(["syscall-filter", "--no-pager", set])
        .output()
        .unwrap();
    assert!(output.status.success(), "{set}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(expand).collect()
}

/// Not a test: what the sandbox starts, to give up all other system calls and become the agent.
#[test]
#[ignore = "a helper that another test starts in a process of its own"]
fn confined() {
    let Ok(calls) = std::env::var(CALLS) else {
        return;
    };
    let calls = std::fs::read_to_string(calls).unwrap();
    let arch: TargetArch = std::env::consts::ARCH.try_into().unwrap();
    let compile = |calls: &[&str]| {
        let calls: Vec<_> = calls
            .iter()
            .map(|call| json!({ "syscall": call }))
            .collect();
        let filter =
            json!({ "mismatch_action": "kill_process", "match_action": "allow", "filter": calls });
        let text = json!({ "agent": filter }).to_string();
        seccompiler::compile_from_json(text.as_bytes(), arch)
    };
    // systemd's sets name calls of other architectures, too.
    let known: Vec<_> = calls
        .lines()
        .filter(|call| compile(&[call]).is_ok())
        .collect();
    let program: BpfProgram = compile(&known).unwrap().remove("agent").unwrap();
    seccompiler::apply_filter(&program).unwrap();
    panic!("{}", Command::new(AGENT).exec());
}

/// Runs `script` in a mount namespace of its own, where it may mount; `$0` is the state directory
/// and `$@` what to become.
fn in_namespace(state: &Path, script: &str, become_what: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-e", "-c", script])
        .arg(state)
        .args(become_what);
    command
}

/// Everything is read-only, but the state directory; then all capabilities are given up for good.
const READ_ONLY: &str = r#"
    root=$(mktemp -d)
    mount --rbind / "$root"
    mount -o remount,bind,ro "$root"
    mount --rbind "$0" "$root$0"
    exec chroot "$root" setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- "$@"
"#;

#[tokio::test]
async fn the_agent_does_all_its_work_within_the_restrictions_of_its_unit() {
    let mut world = World::new().await;
    let first = world.authority.issue("first.example.com");
    world.client().apply(&first.request(1)).await.unwrap();
    world.stop_agent().await;
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    std::fs::write(
        &calls,
        system_calls().into_iter().collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    let helper = std::env::current_exe().unwrap();
    let become_what = [
        "env",
        &format!("{CALLS}={}", calls.display()),
        helper.to_str().unwrap(),
        "--exact",
        "sandbox::confined",
        "--ignored",
        "--nocapture",
    ];
    let agent = spawn(
        &world,
        in_namespace(&world.settings.state_directory, READ_ONLY, &become_what),
    );
    let client = world.client_at_its_usual_address();
    ready(&client).await;
    assert_confined(&agent);

    let second = world.authority.issue("second.example.com");
    client.apply(&second.request(1)).await.unwrap();
    let renewed = world.authority.issue("first.example.com");
    client.apply(&renewed.request(2)).await.unwrap();
    world.assert_serves(&second).await;
    world.assert_serves(&renewed).await;
    let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
        .parse()
        .unwrap();
    client
        .publish_challenge(&token, "LoqX.thumbprint")
        .await
        .unwrap();
    let url = format!("http://{}/.well-known/acme-challenge/{token}", world.http);
    assert_eq!(
        reqwest::get(url).await.unwrap().text().await.unwrap(),
        "LoqX.thumbprint"
    );
    assert_eq!(watched(&world).await, "1");
    client.remove(&second.hostname).await.unwrap();
    assert_eq!(world.visit(&second.hostname).await, None);
    world.kill_haproxy();
    world.spawn_haproxy();
    eventually("the renewed certificate is served again", async || {
        world.visit(&renewed.hostname).await.is_some()
    })
    .await;
    world.assert_loadable();
    drop(agent);
}

/// The process is what it should be: not the helper any more, with a filter, without capabilities,
/// and its root is read-only.
fn assert_confined(agent: &Guarded) {
    let proc = PathBuf::from(format!("/proc/{}", agent.0.id()));
    assert_eq!(
        std::fs::read_link(proc.join("exe")).unwrap().file_name(),
        Path::new(AGENT).file_name()
    );
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    for line in [
        "Seccomp:\t2",
        "NoNewPrivs:\t1",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
    ] {
        assert!(
            status.lines().any(|found| found == line),
            "{line} is not in\n{status}"
        );
    }
    let refused = std::fs::write(proc.join("root/dps-test"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

/// Whether the agent, a process of its own, says that it watches the crt-list.
async fn watched(world: &World) -> String {
    let answer = reqwest::get(format!("http://{}/metrics", world.settings.listen)).await;
    let text = answer.unwrap().text().await.unwrap();
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix("haproxy_domain_agent_crt_list_watched "));
    values.next().unwrap_or_default().to_owned()
}

/// The system has no inotify instance left.
const NO_INOTIFY: &str = r#"
    echo 0 > /proc/sys/user/max_inotify_instances
    exec "$@"
"#;

#[tokio::test]
async fn an_agent_that_cannot_watch_the_crt_list_says_so_and_works() {
    let mut world = World::new().await;
    world.stop_agent().await;
    let state = world.settings.state_directory.clone();
    let agent = spawn(&world, in_namespace(&state, NO_INOTIFY, &[AGENT]));
    let client = world.client_at_its_usual_address();
    ready(&client).await;
    assert_eq!(watched(&world).await, "0");
    let issued = world.authority.issue("shop.example.com");
    client.apply(&issued.request(1)).await.unwrap();
    world.assert_serves(&issued).await;
    client.remove(&issued.hostname).await.unwrap();
    assert_eq!(world.visit(&issued.hostname).await, None);
    drop(agent);
}

/// The state directory is on a file system of its own, of 400 KiB.
const SMALL_DISK: &str = r#"
    saved=$(mktemp -d)
    cp -a "$0/." "$saved"
    mount -t tmpfs -o size=400k,mode=700 tmpfs "$0"
    cp -a "$saved/." "$0"
    exec "$@"
"#;

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_keeps_what_is_served_and_goes_on_when_there_is_room() {
    let mut world = World::new().await;
    world.stop_agent().await;
    let state = world.settings.state_directory.clone();
    let agent = spawn(&world, in_namespace(&state, SMALL_DISK, &[AGENT]));
    let client = world.client_at_its_usual_address();
    ready(&client).await;
    let served = world.authority.issue("served.example.com");
    client.apply(&served.request(1)).await.unwrap();

    let disk = PathBuf::from(format!("/proc/{}/root{}", agent.0.id(), state.display()));
    let ballast = disk.join("ballast");
    fill(&ballast);
    let (renewed, new) = (
        world.authority.issue("served.example.com"),
        world.authority.issue("new.example.com"),
    );
    for request in [renewed.request(2), new.request(1)] {
        let verdict = client.apply(&request).await;
        assert!(
            matches!(&verdict, Err(AgentError::Unreachable { detail, .. }) if detail.contains("INTERNAL")),
            "{verdict:?}"
        );
    }
    world.assert_serves(&served).await;
    assert_eq!(world.visit(&new.hostname).await, None);
    let held = client.inventory(None, 10).await.unwrap().items;
    assert_eq!((held.len(), held[0].generation), (1, 1));
    assert_loadable(&world, &disk);

    std::fs::remove_file(&ballast).unwrap();
    client.apply(&renewed.request(2)).await.unwrap();
    client.apply(&new.request(1)).await.unwrap();
    world.assert_serves(&renewed).await;
    world.assert_serves(&new).await;
    assert_loadable(&world, &disk);
}

/// Asserts that a HAProxy outside the namespace can load the agent's disk.
fn assert_loadable(world: &World, disk: &Path) {
    let copied = Command::new("sh")
        .args([
            "-e",
            "-c",
            "rm -rf \"$1\"/certs \"$1\"/crt-list.txt; cp -a \"$0\"/certs \"$0\"/crt-list.txt \"$1\"",
        ])
        .arg(disk)
        .arg(&world.settings.state_directory)
        .status()
        .unwrap();
    assert!(copied.success());
    world.assert_loadable();
}

/// Writes until the disk takes no byte more.
fn fill(file: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).unwrap();
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// An agent that runs as `nobody`, and so meets what permissions say; root, who runs the tests,
/// does not.
const NOBODY: [&str; 4] = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];

#[tokio::test]
async fn a_directory_that_is_closed_to_the_agent_changes_nothing_until_it_is_open_again() {
    let mut world = World::new().await;
    world.stop_agent().await;
    let state = world.settings.state_directory.clone();
    let socket = PathBuf::from(&world.settings.haproxy_socket);
    let set_mode =
        |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    set_mode(state.parent().unwrap(), 0o755);
    set_mode(&socket, 0o666);
    let give = Command::new("chown")
        .arg("-R")
        .arg("65534:65534")
        .arg(&state)
        .status();
    assert!(give.unwrap().success());
    let mut become_nobody = Command::new("setpriv");
    become_nobody
        .args(NOBODY)
        .arg(AGENT)
        .env("Agent__AuditInterval", "1s");
    let mut agent = spawn(&world, become_nobody);
    let client = world.client_at_its_usual_address();
    ready(&client).await;
    let served = world.authority.issue("served.example.com");
    client.apply(&served.request(1)).await.unwrap();
    let (renewed, new) = (
        world.authority.issue("served.example.com"),
        world.authority.issue("new.example.com"),
    );

    // Given to root, as a careless restore of a backup does.
    let take = |path: &Path| std::os::unix::fs::chown(path, Some(0), Some(0)).unwrap();
    let give_back = |path: &Path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    for closed in [state.join("staging"), state.join("certs"), state.clone()] {
        take(&closed);
        let before = client.inventory(None, 10).await.unwrap();
        for request in [renewed.request(2), new.request(1)] {
            let verdict = client.apply(&request).await;
            assert!(verdict.is_err(), "{} {verdict:?}", closed.display());
        }
        eventually("the agent says that something is wrong", async || {
            let text = reqwest::get(format!("http://{}/metrics", world.settings.listen)).await;
            let text = text.unwrap().text().await.unwrap();
            text.contains("refused_total{code=\"INTERNAL\"}") || text.contains("in_sync 0")
        })
        .await;
        assert!(agent.0.try_wait().unwrap().is_none());
        world.assert_serves(&served).await;
        assert_eq!(world.visit(&new.hostname).await, None);
        let after = client.inventory(None, 10).await.unwrap();
        assert_eq!(before.digest, after.digest, "{}", closed.display());
        world.assert_loadable();
        give_back(&closed);
    }
    eventually("the agent works again", async || {
        client.apply(&renewed.request(2)).await.is_ok()
    })
    .await;
    client.apply(&new.request(1)).await.unwrap();
    world.assert_serves(&renewed).await;
    world.assert_serves(&new).await;
    world.assert_loadable();
}
