//! The start of `dps` as a real process: it answers before it can work, and strangers cannot keep
//! it from answering.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dps_lab::flood::{Flood, get_from};
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use tempfile::TempDir;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time for an answer during a flood that shares this machine's processors with the server.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const TOKEN: &str = "a-token-that-nobody-may-see";
const ATTACKER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const HONEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The settings that a service needs. No outside party answers at these addresses.
const NEEDED: [(&str, &str); 8] = [
    ("CabinetApi__BaseUrl", "http://127.0.0.1:1"),
    ("CabinetApi__Token", TOKEN),
    ("HAProxyAgent__BaseUrl", "http://127.0.0.1:1"),
    ("HAProxyAgent__Token", TOKEN),
    ("LetsEncrypt__DirectoryUrl", "https://127.0.0.1:1/dir"),
    ("LetsEncrypt__TermsOfServiceAgreed", "true"),
    ("Dns__Resolvers__0", "127.0.0.1:1"),
    ("Cabinet__CnameTarget", "edge.platform.example"),
];

/// A process that is ended with its handle.
struct Dps(Child);

impl Drop for Dps {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Dps {
    /// Starts `program` with its arguments, which becomes `dps`.
    fn start(folder: &Path, line: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(line[0]);
        command
            .args(&line[1..])
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Self(command.spawn().unwrap())
    }

    /// Reads the log as far as each of these messages, in any order, and returns their lines.
    fn logged(&mut self, messages: &[&str]) -> Vec<Value> {
        let mut found = vec![Value::Null; messages.len()];
        for line in BufReader::new(self.0.stdout.take().unwrap()).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(place) = messages
                .iter()
                .position(|message| line["message"] == *message)
            {
                found[place] = line;
            }
            if found.iter().all(|line| !line.is_null()) {
                return found;
            }
        }
        panic!("the log ended without {messages:?}: {found:?}");
    }

    fn terminate(mut self) -> Option<i32> {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.0.wait().unwrap().code()
    }

    fn sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        targets
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }
}

const DPS: &str = env!("CARGO_BIN_EXE_dps");

fn free_address() -> String {
    format!("127.0.0.1:{}", dps_lab::free_port().unwrap())
}

/// Returns status and body, once a server listens.
fn get(address: &str, path: &str) -> (u16, String) {
    try_get(address, path).expect("an answer")
}

/// Returns status and body, once a server listens. `None` if it closed the connection without an
/// answer, as a listener does that hands its address over to the next.
fn try_get(address: &str, path: &str) -> Option<(u16, String)> {
    let deadline = Instant::now() + TIMEOUT;
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    };
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let exchange = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    match exchange.map_err(|error| error.kind()) {
        Ok(0) | Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return None,
        Ok(_) => {}
        Err(kind) => panic!("{address}{path}: {kind}"),
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Some((
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    ))
}

/// Asks for `/health` until the status in its body is another than this one.
fn health_other_than(address: &str, status: &str) -> Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some((_, body)) = try_get(address, "/health")
            && let Ok(body) = serde_json::from_str::<Value>(&body)
            && body["status"] != status
        {
            return body;
        }
        assert!(Instant::now() < deadline, "the status stays {status}");
        std::thread::yield_now();
    }
}

/// The image's own health check, at this address.
fn health_check(address: &str) -> bool {
    let dockerfile = include_str!("../../../Dockerfile");
    let mut checks = dockerfile
        .lines()
        .filter_map(|line| line.trim().strip_prefix("CMD "));
    let check = checks.find(|line| line.contains("/dev/tcp/127.0.0.1/8080"));
    let (_, port) = address.split_once(':').unwrap();
    let check = check
        .expect("a HEALTHCHECK")
        .replace("/8080", &format!("/{port}"));
    let line: Vec<String> = serde_json::from_str(&check).unwrap();
    Command::new(&line[0])
        .args(&line[1..])
        .status()
        .unwrap()
        .success()
}

#[test]
fn without_settings_a_container_stays_up_and_says_what_is_missing_until_it_is_there() {
    let folder = TempDir::new().unwrap();
    let address = free_address();
    let dockerfile = include_str!("../../../Dockerfile");
    assert!(dockerfile.contains("CMD [\"run\", \"--wait-for-configuration\"]"));
    assert!(dockerfile.contains("ENV Http__Listen=0.0.0.0:8080"));
    let line = [DPS, "run", "--wait-for-configuration"];
    let dps = Dps::start(folder.path(), &line, &[("Http__Listen", &address)]);
    let (status, body) = get(&address, "/health");
    assert_eq!(status, 503, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "notConfigured");
    let problems = body["problems"].to_string();
    for key in [
        "CabinetApi:BaseUrl",
        "HAProxyAgent:BaseUrl",
        "LetsEncrypt:TermsOfServiceAgreed",
        "Workers:DomainVerification:AllowedTargets",
    ] {
        assert!(problems.contains(key), "{problems}");
    }
    assert_eq!(get(&address, "/health/live").0, 200);
    assert!(health_check(&address));

    let mut settings = serde_json::Map::new();
    for (key, value) in NEEDED {
        settings.insert(key.replace("__", ":"), value.into());
    }
    // An index is no list in JSON.
    settings.remove("Dns:Resolvers:0");
    settings.insert(
        "Dns".into(),
        serde_json::json!({ "Resolvers": ["127.0.0.1:1"] }),
    );
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.path().join("draft"));
    serde_json::to_writer(file.unwrap(), &settings).unwrap();
    // All at once, as an orchestrator mounts it.
    let place = folder.path().join("appsettings.json");
    std::fs::rename(folder.path().join("draft"), place).unwrap();
    let mut now = health_other_than(&address, "notConfigured");
    if now["status"] == "starting" {
        now = health_other_than(&address, "starting");
    }
    assert_eq!(now["status"], "ready", "{now}");
    assert_eq!(dps.terminate(), Some(0));

    let dps = Dps::start(
        folder.path(),
        &[
            DPS,
            "run",
            "--wait-for-configuration",
            "--config",
            "none.json",
        ],
        &[("Http__Listen", &address)],
    );
    assert_eq!(health_other_than(&address, "")["status"], "notConfigured");
    assert_eq!(dps.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_alive_before_the_store_is_migrated_and_ready_afterwards() {
    let folder = TempDir::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("dps.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    // The lock of a migration.
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let address = free_address();
    let variables = [&NEEDED[..], &[("Http__Listen", &address)]].concat();
    let dps = Dps::start(folder.path(), &[DPS, "run"], &variables);
    assert_eq!(get(&address, "/health/live").0, 200);
    let (status, body) = get(&address, "/health/ready");
    assert!(
        status == 503 && body.contains("\"status\":\"starting\""),
        "{body}"
    );
    assert!(health_check(&address));
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(health_other_than(&address, "starting")["status"], "ready");
    assert_eq!(dps.terminate(), Some(0));
}

#[test]
fn a_signal_ends_it_while_it_waits_for_a_migration() {
    let folder = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = free_address();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("dps.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut other)
            .await
            .unwrap();
        let variables = [&NEEDED[..], &[("Http__Listen", &address)]].concat();
        let dps = Dps::start(folder.path(), &[DPS, "run"], &variables);
        assert_eq!(get(&address, "/health/live").0, 200);
        assert_eq!(dps.terminate(), Some(0));
    });
}

#[test]
fn it_takes_all_file_descriptors_that_it_may_have_and_hides_its_memory() {
    let folder = TempDir::new().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let address = free_address();
    let variables = [&NEEDED[..], &[("Http__Listen", &address)]].concat();
    let mut line = vec!["sh", "-c", "ulimit -Sn 200; exec \"$0\" run", DPS];
    // Files of root's own processes belong to root in any case, so they would prove nothing.
    if std::fs::metadata("/proc/self/environ").unwrap().uid() == 0 {
        let nobody = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--",
        ];
        line.splice(0..0, nobody);
    }
    let dps = Dps::start(folder.path(), &line, &variables);
    health_other_than(&address, "starting");
    let proc = format!("/proc/{}", dps.0.id());
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let numbers: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{files}");
    assert_ne!(numbers[0], "200", "{files}");
    let owner = std::fs::metadata(format!("{proc}/environ")).unwrap().uid();
    assert_eq!(
        owner, 0,
        "the memory of a process that is not dumpable is root's"
    );
    assert_eq!(dps.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_idle_connections_takes_no_listener_and_few_descriptors() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("agent");
    let mut variables = NEEDED.to_vec();
    variables.retain(|(name, _)| !name.contains("BaseUrl"));
    variables.extend([
        ("Http__Listen", "127.0.0.1:0"),
        ("Cabinet__Listen", "127.0.0.1:0"),
        ("Cabinet__CnameTarget", "customers.platform.test"),
        ("Agent__Listen", "127.0.0.1:0"),
        ("Agent__StateDirectory", state.to_str().unwrap()),
        ("Agent__HaproxySocket", "/nowhere/haproxy.sock"),
    ]);
    // The usual limit of systemd and of shells; all of it, so that the server has as little as it
    // may.
    let line = ["sh", "-c", "ulimit -n 1024; exec \"$0\" standalone", DPS];
    let mut dps = Dps::start(folder.path(), &line, &variables);
    let listening = dps.logged(&[
        "http.listening",
        "cabinet.started",
        "agent.started",
        "service.started",
    ]);
    let address =
        |line: &Value, field: &str| line[field].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let (http, cabinet, agent) = (
        address(&listening[0], "address"),
        address(&listening[1], "local_addr"),
        address(&listening[2], "address"),
    );
    let token = std::fs::read_to_string(folder.path().join("cabinet-api.token")).unwrap();
    let before = dps.sockets();

    // The flood's own ends are in this process.
    dps_host::process::raise_descriptor_limit().unwrap();
    let floods = [http, cabinet, agent].map(|to| Flood::start(ATTACKER, to, 1_100));
    for _ in 0..3 {
        for flood in &floods {
            flood.keeps_running(500, TIMEOUT).await.unwrap();
        }
        for (to, path) in [
            (http, "/health/live"),
            (cabinet, "/health"),
            (agent, "/health"),
        ] {
            for from in [ATTACKER, HONEST] {
                let answer = get_from(from, to, path, "none", PROBE_TIMEOUT).await;
                assert!(
                    answer
                        .as_ref()
                        .is_ok_and(|answer| answer.starts_with("HTTP/1.1 ")),
                    "{from} {path}: {answer:?}"
                );
            }
        }
        let list = get_from(
            HONEST,
            cabinet,
            "/api/v1/custom-domains?tenantId=t",
            token.trim(),
            PROBE_TIMEOUT,
        );
        let list = list.await.unwrap();
        assert!(list.starts_with("HTTP/1.1 200"), "{list}");
        let (open, bound) = (dps.sockets().saturating_sub(before), 1024 / 3);
        assert!(
            open <= bound,
            "{open} sockets, more than a third of the descriptors"
        );
    }
    for flood in floods {
        flood.end().await;
    }
}
