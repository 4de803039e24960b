use std::path::Path;
use std::time::Duration;

use dps_lab::process::{ProcessSpec, find_program};
use dps_lab::{LabError, wait};
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(20);

fn shell(directory: &TempDir, script: &str) -> ProcessSpec {
    let sh = find_program("sh", "dash", &[]).unwrap();
    ProcessSpec::new("script", sh, directory.path().join("log")).args(["-c", script])
}

fn alive(pid: u32) -> bool {
    // A zombie is dead: its parent has merely not waited for it yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn wait_until_gone(pid: u32) {
    wait::until("the process is gone", BOUND, || {
        std::future::ready((!alive(pid)).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn both_outputs_and_the_environment_arrive_in_the_log() {
    let home = TempDir::new().unwrap();
    let mut process = shell(
        &home,
        "echo out; echo err $WORD >&2; exec tail -f /dev/null",
    )
    .env("WORD", "of honour")
    .start()
    .unwrap();
    process.wait_for_log("err of honour", BOUND).await.unwrap();
    assert!(process.log_text().contains("out\n"));
    assert!(process.is_running());
}

#[tokio::test]
async fn a_program_that_ends_early_is_reported_at_once_with_the_end_of_its_log() {
    let home = TempDir::new().unwrap();
    let mut process = shell(&home, "echo no such luck; exit 3").start().unwrap();
    let port = dps_lab::free_port().unwrap();
    let error = process
        .wait_for_port(([127, 0, 0, 1], port).into(), Duration::from_secs(600))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no such luck") && text.contains("exit status: 3"),
        "{text}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_ready_in_time_is_reported_with_the_end_of_its_log() {
    let home = TempDir::new().unwrap();
    let mut process = shell(&home, "echo still busy; exec tail -f /dev/null")
        .start()
        .unwrap();
    process.wait_for_log("still busy", BOUND).await.unwrap();
    let error = process
        .wait_for_log("ready", Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, LabError::NotReady { log_tail, .. } if log_tail == "still busy"),
        "{error}"
    );
}

#[tokio::test]
async fn terminate_lets_the_program_finish_and_kill_does_not() {
    let home = TempDir::new().unwrap();
    let script = "trap 'echo goodbye; exit 7' TERM; echo ready; while :; do read -r _ < fifo; done";
    assert!(
        std::process::Command::new("mkfifo")
            .arg(home.path().join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    let spec = shell(&home, script).directory(home.path());
    let mut polite = spec.clone().start().unwrap();
    polite.wait_for_log("ready", BOUND).await.unwrap();
    assert_eq!(polite.terminate(BOUND).await.unwrap().code(), Some(7));
    assert!(polite.log_text().contains("goodbye"));

    polite.restart().unwrap();
    let pid = polite.pid();
    polite.kill().unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn dropping_the_handle_ends_the_program() {
    let home = TempDir::new().unwrap();
    let process = shell(&home, "exec tail -f /dev/null").start().unwrap();
    let pid = process.pid();
    assert!(alive(pid));
    drop(process);
    assert!(!alive(pid));
}

/// Not a test of its own: the story below runs it in a second process, where it crashes as a demo
/// might.
#[tokio::test]
#[ignore = "run by a_crash_of_the_whole_process_leaves_no_program_running"]
async fn start_a_program_and_crash() {
    let home = std::env::var("LAB_CRASH_HOME").unwrap();
    let sh = find_program("sh", "dash", &[]).unwrap();
    let log = Path::new(&home).join("log");
    let process = ProcessSpec::new("orphan", sh, &log)
        .args(["-c", "echo pid $$ here; exec tail -f /dev/null"])
        .start()
        .unwrap();
    std::mem::forget(process);
    wait::until("the orphan has started", BOUND, || {
        std::future::ready(
            std::fs::read_to_string(&log)
                .is_ok_and(|text| text.contains("here"))
                .then_some(()),
        )
    })
    .await
    .unwrap();
    std::process::abort();
}

#[tokio::test]
async fn a_crash_of_the_whole_process_leaves_no_program_running() {
    let home = TempDir::new().unwrap();
    let crashed = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "process::start_a_program_and_crash",
            "--ignored",
            "--nocapture",
        ])
        .env("LAB_CRASH_HOME", home.path())
        .output()
        .unwrap();
    assert!(!crashed.status.success());
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    let pid = log
        .split_whitespace()
        .nth(1)
        .and_then(|pid| pid.parse().ok())
        .unwrap();
    wait_until_gone(pid).await;
}

#[tokio::test]
async fn a_program_outlives_the_thread_that_asked_for_it() {
    let home = TempDir::new().unwrap();
    let spec = shell(&home, "trap '' HUP; echo ready; exec tail -f /dev/null");
    let mut process = std::thread::spawn(move || spec.start().unwrap())
        .join()
        .unwrap();
    process.wait_for_log("ready", BOUND).await.unwrap();
    assert!(process.is_running());
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let text = find_program("no-such-program", "no-such-package", &[])
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("`no-such-program`") && text.contains("apt-get install no-such-package"),
        "{text}"
    );
}
