//! The executable: settings, signals, exit codes.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haproxy-domain-agent"));
    command
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A configuration of an agent whose HAProxy is away.
fn lonely(folder: &Path) -> std::path::PathBuf {
    let text = format!(
        r#"{{"Agent": {{"Listen": "127.0.0.1:0", "StateDirectory": "{}", "HaproxySocket": "{}"}}, "Workers": {{}}}}"#,
        folder.join("state").display(),
        folder.join("none.sock").display()
    );
    settings(folder, &text)
}

fn settings(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("appsettings.json");
    std::fs::write(&path, text).unwrap();
    // Some hold a token.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn it_starts_from_file_and_environment_and_ends_with_0_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let config = lonely(folder.path());
    let mut child = command()
        .env("Agent__Token", "s3cret-t0ken-of-the-tests")
        .arg("--config")
        .arg(config)
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next().expect("a log line").unwrap();
    assert!(ready.contains("agent.started"), "{ready}");
    assert!(
        state.join("crt-list.txt").exists(),
        "HAProxy could not start now"
    );

    let signal = Command::new("kill").arg("-TERM").arg(pid).status().unwrap();
    assert!(signal.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let following: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(
        following
            .last()
            .is_some_and(|line| line.contains("agent.drained")),
        "{following:?}"
    );
    assert!(
        !following
            .iter()
            .any(|line| line.contains("s3cret-t0ken-of-the-tests"))
    );
}

#[test]
fn unusable_settings_end_it_with_their_name() {
    let folder = tempfile::tempdir().unwrap();
    for (text, named) in [
        ("{}", "Agent:Token"),
        (
            r#"{"Agent": {"Token": "token-of-the-tests", "Listn": "127.0.0.1:0"}}"#,
            "Agent:Listen",
        ),
        (
            r#"{"Agent": {"Token": "token-of-the-tests", "WatchInterval": "1h"}}"#,
            "WatchInterval",
        ),
    ] {
        let output = command()
            .env("RUST_BACKTRACE", "1")
            .arg("--check")
            .arg("--config")
            .arg(settings(folder.path(), text))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "as of dps");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(named), "{error}");
        assert!(
            !error.contains("backtrace") && error.lines().count() < 5,
            "{error}"
        );
    }
    let good = settings(
        folder.path(),
        r#"{"Agent": {"Token": "token-of-the-tests"}}"#,
    );
    assert!(
        command()
            .arg("--check")
            .arg("--config")
            .arg(good)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn the_service_manager_is_notified_when_the_list_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut child = command()
        .env("Agent__Token", "s3cret-t0ken-of-the-tests-of-the-service")
        .env("NOTIFY_SOCKET", &path)
        .arg("--config")
        .arg(lonely(folder.path()))
        .spawn()
        .unwrap();
    let mut message = [0; 64];
    let length = manager.recv(&mut message);
    let is_there = folder.path().join("state/crt-list.txt").exists();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(&message[..length.unwrap()], b"READY=1");
    assert!(is_there, "HAProxy would be started without its list");
}
