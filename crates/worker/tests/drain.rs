//! `dps run` as a real process: it serves health while no server it needs is there, reveals no
//! secret, and drains.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-that-nobody-may-see";

/// A `dps run` with every outside party missing.
struct Service {
    child: Child,
    log: BufReader<ChildStdout>,
    /// The log so far.
    lines: Vec<Value>,
    _folder: TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_dps"))
            .arg("run")
            .current_dir(folder.path())
            .env_clear()
            .envs([
                ("CabinetApi__BaseUrl", "http://127.0.0.1:1"),
                ("CabinetApi__Token", TOKEN),
                ("HAProxyAgent__BaseUrl", "http://127.0.0.1:1"),
                ("HAProxyAgent__Token", TOKEN),
                ("LetsEncrypt__DirectoryUrl", "https://127.0.0.1:1/dir"),
                ("LetsEncrypt__TermsOfServiceAgreed", "true"),
                ("Dns__Resolvers__0", "127.0.0.1:1"),
                ("Cabinet__CnameTarget", "edge.platform.example"),
                ("Http__Listen", "127.0.0.1:0"),
                ("Logging__Level", "Trace"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            log,
            lines: Vec::new(),
            _folder: folder,
        }
    }

    /// Reads the log up to this message. Every line must be JSON.
    fn logged(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "the log ended without {message}: {:#?}",
                self.lines
            );
            let line: Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
            self.lines.push(line.clone());
            if line["message"] == message {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        send(name, self.child.id());
    }

    /// The exit status, and all that was logged as text.
    fn end(mut self) -> (ExitStatus, String) {
        let pid = self.child.id();
        let (sender, receiver) = mpsc::channel();
        let watchdog = thread::spawn(move || {
            if receiver.recv_timeout(TIMEOUT).is_err() {
                send("KILL", pid);
            }
        });
        let mut remaining = String::new();
        self.log.read_to_string(&mut remaining).unwrap();
        let status = self.child.wait().unwrap();
        sender.send(()).ok();
        watchdog.join().unwrap();
        let before: Vec<String> = self.lines.iter().map(Value::to_string).collect();
        (status, format!("{}\n{remaining}", before.join("\n")))
    }
}

fn send(signal: &str, pid: u32) {
    let script = format!("kill -{signal} {pid}");
    Command::new("sh").args(["-c", &script]).status().unwrap();
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_service_without_any_peer_is_alive_shows_no_secret_and_drains_although_a_request_is_half_sent()
{
    let mut service = Service::start();
    let address = service.logged("http.listening")["address"]
        .as_str()
        .unwrap()
        .to_owned();
    service.logged("service.started");
    assert!(get(&address, "/health/live").starts_with("HTTP/1.1 200"));
    let health = get(&address, "/health");
    assert!(
        health.starts_with("HTTP/1.1 200")
            && health.contains("\"name\":\"cabinet\",\"status\":\"failing\""),
        "{health}"
    );
    assert!(get(&address, "/metrics").contains("renewal_total{result=\"success\"} 0"));

    let mut half_sent = TcpStream::connect(&address).unwrap();
    half_sent.write_all(b"GET /health HTTP/1.1\r\nHo").unwrap();
    service.signal("TERM");
    let (status, log) = service.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("service.drained"), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    drop(half_sent);
}
