//! One HAProxy and one agent, each a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dps_agent_api::{AgentClient, ClientOptions, HealthStatus};
use dps_lab::process::{Process, ProcessSpec, find_program};
use haproxy_domain_agent::runtime_api::{RuntimeApi, RuntimeLimits};
use secrecy::SecretString;
use tempfile::TempDir;

const TOKEN: &str = "token-of-the-load-test";
/// A HAProxy 2.6 reads 50,000 certificates in about a minute.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(600);

pub(crate) struct Edge {
    pub(crate) https: SocketAddr,
    pub(crate) haproxy: Process,
    pub(crate) agent: Process,
    agent_address: SocketAddr,
    folder: TempDir,
}

pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], dps_lab::free_port().unwrap()))
}

/// Starts a HAProxy whose HTTPS frontend answers by itself.
pub(crate) fn start_haproxy(folder: &TempDir, https: SocketAddr, list: &str) -> Process {
    let home = folder.path();
    let configuration = format!(
        "global\n    stats socket {socket} mode 600 level admin\n    stats timeout 2m\n    stats maxconn 20\n    \
         ssl-load-extra-files none\n    ssl-default-bind-options ssl-min-ver TLSv1.2\n\
         defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n\
         frontend https\n    bind {https} ssl crt-list {list} strict-sni alpn http/1.1\n    \
         http-request return status 200 content-type text/plain string well\n",
        socket = home.join("haproxy.sock").display(),
    );
    std::fs::write(home.join("haproxy.cfg"), configuration).unwrap();
    let program = find_program("haproxy", "haproxy", &[]).unwrap();
    let spec = ProcessSpec::new("haproxy", program, home.join("haproxy.log"));
    spec.args(["-db", "-f", "haproxy.cfg"])
        .directory(home)
        .start()
        .unwrap()
}

/// A client for the Runtime API of a HAProxy that [`start_haproxy`] started.
pub(crate) fn runtime(folder: &TempDir) -> RuntimeApi {
    let limits = RuntimeLimits {
        deadline: Duration::from_secs(10),
        lock_timeout: Duration::from_secs(10),
        max_request_bytes: 15_872,
    };
    let socket = folder.path().join("haproxy.sock").display().to_string();
    RuntimeApi::new(socket.parse().unwrap(), limits)
}

impl Edge {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("edge-load-")
            .tempdir()
            .unwrap();
        let (https, agent_address) = (free_address(), free_address());
        let state = folder.path().join("state");
        let socket = folder.path().join("haproxy.sock");
        let agent: PathBuf = env!("CARGO_BIN_EXE_haproxy-domain-agent").into();
        let spec = ProcessSpec::new("agent", agent, folder.path().join("agent.log"))
            .env("Agent__Token", TOKEN)
            // It measures applies, not the wait after the load of a start.
            .env("Agent__ReloadGrace", "100ms")
            .env("Agent__Listen", agent_address.to_string())
            .env("Agent__StateDirectory", &state)
            .env("Agent__HaproxySocket", &socket)
            .env("Agent__TlsAddress", https.to_string())
            .env("Logging__Level", "Warning")
            .directory(folder.path());
        let mut agent = spec.start().unwrap();
        agent.wait_for_port(agent_address, TIMEOUT).await.unwrap();
        let list = state.join("crt-list.txt").display().to_string();
        let mut edge = Self {
            https,
            haproxy: start_haproxy(&folder, https, &list),
            agent,
            agent_address,
            folder,
        };
        edge.wait_until_in_line().await;
        edge
    }

    /// Waits until the agent has compared this very HAProxy with the disk and found nothing
    /// missing.
    pub(crate) async fn wait_until_in_line(&mut self) {
        let client = self.client();
        let pid = self.haproxy.pid();
        let in_line = || async {
            let health = client.health().await;
            health.is_ok_and(|health| {
                health.haproxy.pid == Some(pid) && health.status == HealthStatus::Ok
            })
        };
        self.haproxy
            .wait_until("the agent has it in line", TIMEOUT, in_line)
            .await
            .unwrap();
    }

    pub(crate) fn client(&self) -> AgentClient {
        let url = format!("http://{}", self.agent_address).parse().unwrap();
        AgentClient::new(url, SecretString::from(TOKEN), ClientOptions::default()).unwrap()
    }

    pub(crate) fn runtime(&self) -> RuntimeApi {
        runtime(&self.folder)
    }

    /// A value of the agent's metrics.
    pub(crate) async fn metric(&self, name: &str) -> String {
        let answer = reqwest::get(format!("http://{}/metrics", self.agent_address))
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("haproxy_domain_agent_{name} ")));
        line.unwrap_or("0").to_owned()
    }
}
