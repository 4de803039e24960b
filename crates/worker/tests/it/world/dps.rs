//! The binary under test: as a process that runs, and as a command that ends.

use std::path::Path;
use std::process::{Command, Output};

use dps_lab::process::{Process, ProcessSpec};
use serde_json::Value;

use super::customer::API_TOKEN;

/// The service's token for the Cabinet.
const CABINET_TOKEN: &str = "cabinet-token-of-the-tests";
/// The service's token for the agent.
pub(crate) const AGENT_TOKEN: &str = "agent-token-of-the-tests";

const TOKENS: [(&str, &str); 5] = [
    ("CabinetApi__Token", CABINET_TOKEN),
    ("CABINET__SERVICETOKEN", CABINET_TOKEN),
    ("Cabinet__ApiToken", API_TOKEN),
    ("HAProxyAgent__Token", AGENT_TOKEN),
    ("Agent__Token", AGENT_TOKEN),
];

/// Starts `dps <role>` in `home`, whose `appsettings.json` it finds by itself. Its log is
/// `<role>.log` there.
pub(super) fn start(home: &Path, role: &str, environment: &[(&str, &str)]) -> Process {
    let log = format!("{role}.log");
    launch(
        home,
        (role, &log),
        (env!("CARGO_BIN_EXE_dps"), &[]),
        environment,
    )
}

/// Starts one more `dps run` in `home`, which calls itself `name`. Its log is `<name>.log` there.
pub(super) fn start_replica(home: &Path, name: &str, environment: &[(&str, &str)]) -> Process {
    let log = format!("{name}.log");
    launch(
        home,
        ("run", &log),
        (env!("CARGO_BIN_EXE_dps"), &[]),
        environment,
    )
}

/// Starts `dps run` with the directory `disk` on a separate file system of `kib` KiB. Only that
/// process and readers of its `/proc/PID/root` see it.
pub(super) fn start_on_small_disk(home: &Path, disk: &Path, kib: u32) -> Process {
    let script = format!("mount -t tmpfs -o size={kib}k tmpfs \"$0\" && exec \"$@\"");
    let disk = disk.to_str().unwrap();
    let store = format!("sqlite://{disk}/dps.db");
    let dps = env!("CARGO_BIN_EXE_dps");
    let wrapper = ["--map-root-user", "--mount", "sh", "-c", &script, disk, dps];
    let environment = [("CertificateStore__ConnectionString", store.as_str())];
    launch(
        home,
        ("run", "run.log"),
        ("unshare", &wrapper),
        &environment,
    )
}

/// Starts `dps run` in this network namespace.
pub(super) fn start_in_namespace(home: &Path, namespace: &str) -> Process {
    let namespace = format!("--net={namespace}");
    let wrapper = [namespace.as_str(), env!("CARGO_BIN_EXE_dps")];
    launch(home, ("run", "run.log"), ("nsenter", &wrapper), &[])
}

/// `program` with its arguments runs the role, in the end.
fn launch(
    home: &Path,
    (role, log): (&str, &str),
    (program, arguments): (&str, &[&str]),
    environment: &[(&str, &str)],
) -> Process {
    let log = home.join(log);
    let spec = ProcessSpec::new(format!("dps {role}"), program, log)
        .args(arguments)
        .arg(role)
        .directory(home)
        .env("RUST_LOG", "");
    let variables = TOKENS.iter().chain(environment);
    let spec = variables.fold(spec, |spec, (name, value)| spec.env(name, value));
    spec.start().unwrap()
}

/// Runs `dps <arguments>` in `home` to its end.
pub(crate) fn dps(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dps"))
        .args(arguments)
        .current_dir(home)
        .envs(TOKENS)
        .env("RUST_LOG", "")
        .output()
        .unwrap()
}

/// A log of JSON lines.
pub(crate) struct Log(Vec<Value>);

impl Log {
    /// Lines that are no JSON (what a process says before its log begins) are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines();
        Self(
            lines
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
        )
    }

    /// How many events of this name there are for a hostname.
    pub(crate) fn count(&self, host: &str, event: &str) -> usize {
        self.events_of(host).filter(|name| *name == event).count()
    }

    /// The names of a hostname's events, in order.
    pub(crate) fn events_of<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a str> {
        let of_host = self
            .0
            .iter()
            .filter(move |line| line["domain.hostname"] == host);
        of_host.filter_map(|line| line["message"].as_str())
    }

    /// The values of a field in the events of this name, in order.
    pub(crate) fn values<'a>(
        &'a self,
        event: &'a str,
        field: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |line| line["message"] == event);
        named.filter_map(move |line| line[field].as_str())
    }

    /// The values of a field in the events of this name that have `key` equal to `value`, in order.
    pub(crate) fn values_of<'a>(
        &'a self,
        event: &'a str,
        key: &'a str,
        value: &'a str,
        field: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let named = self
            .0
            .iter()
            .filter(move |line| line["message"] == event && line[key] == value);
        named.filter_map(move |line| line[field].as_str())
    }
}
