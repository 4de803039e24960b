//! Signals against a real process: this test program started once more.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const ROLE: &str = "DPS_HOST_SHUTDOWN_TEST_ROLE";

/// Not a test of its own: the process that the tests below start and send signals to.
#[test]
fn stand_in_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let token = dps_host::shutdown::token().unwrap();
        say("ready");
        token.cancelled().await;
        say("draining");
        if role == "stuck" {
            std::future::pending::<()>().await;
        }
    });
    std::process::exit(0);
}

fn say(word: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\n{word}").unwrap();
    stdout.flush().unwrap();
}

struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Process {
    fn start(role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "stand_in_process",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, lines };
        process.until_it_says("ready");
        process
    }

    fn until_it_says(&mut self, word: &str) {
        let said = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line == word);
        assert!(said, "the process ended without saying {word:?}");
    }

    fn signal(&self, name: &str) {
        send(name, self.child.id());
    }

    fn exit(self) -> ExitStatus {
        let (pid, mut child) = (self.child.id(), self.child);
        let (sender, receiver) = mpsc::channel();
        let waiter = thread::spawn(move || sender.send(child.wait().unwrap()));
        let status = receiver.recv_timeout(Duration::from_secs(20));
        if status.is_err() {
            send("KILL", pid);
        }
        waiter.join().unwrap().ok();
        status.expect("the process ends within 20 s")
    }
}

fn send(signal: &str, pid: u32) {
    let script = format!("kill -{signal} {pid}");
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success());
}

#[test]
fn the_first_signal_drains_and_the_process_ends_by_itself() {
    for name in ["TERM", "INT"] {
        let mut process = Process::start("polite");
        process.signal(name);
        process.until_it_says("draining");
        assert_eq!(process.exit().code(), Some(0), "{name}");
    }
}

#[test]
fn a_second_signal_ends_a_stuck_process_with_the_code_of_that_signal() {
    for (first, second, code) in [
        ("TERM", "TERM", 143),
        ("INT", "INT", 130),
        ("TERM", "INT", 130),
    ] {
        let mut process = Process::start("stuck");
        process.signal(first);
        process.until_it_says("draining");
        process.signal(second);
        assert_eq!(process.exit().code(), Some(code), "{first} then {second}");
    }
}
