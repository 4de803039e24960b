//! One HAProxy, one agent, one directory; everything ends with the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_agent_api::{AgentClient, ClientOptions, HealthStatus};
use dps_domain::Hostname;
use dps_host::{HumanDuration, Secret};
use dps_x509::CertificateChain;
use haproxy_domain_agent::runtime_api::{ListName, RuntimeApi, RuntimeLimits, StoreName};
use haproxy_domain_agent::{Agent, AgentError, DiskError, Settings, SystemClock};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, Issued};

pub(crate) const TOKEN: &str = "token-of-the-tests";
const BOUND: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) settings: Settings,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    haproxy: Option<Child>,
    agent: Option<RunningAgent>,
    folder: TempDir,
    /// Lines of the shipped configuration that a test has HAProxy read otherwise.
    changes: Vec<(String, String)>,
    /// The path of HAProxy's socket, if a relay listens between it and the agent.
    socket: Option<String>,
}

struct RunningAgent {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AgentError>>,
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], dps_lab::free_port().unwrap()))
}

/// Waits until the condition holds; fails with the description after a bound.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < BOUND, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl World {
    /// An agent that knows a directory without certificates, and no HAProxy yet.
    pub(crate) async fn without_haproxy() -> Self {
        Self::with_settings(|_| ()).await
    }

    pub(crate) async fn with_settings(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::Builder::new().prefix("edge-").tempdir().unwrap();
        let (http, https) = (free_address(), free_address());
        let mut settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: Some(Secret::from(TOKEN)),
            state_directory: folder.path().join("state"),
            haproxy_socket: folder.path().join("haproxy.sock").display().to_string(),
            tls_address: https,
            watch_interval: HumanDuration::from(Duration::from_millis(100)),
            handshake_timeout: HumanDuration::from_secs(5),
            // The tests have `haproxy -c` read the crt-list all the time.
            reload_grace: HumanDuration::from(Duration::from_millis(100)),
            ..Settings::default()
        };
        change(&mut settings);
        let mut world = Self {
            authority: Authority::new(),
            settings,
            http,
            https,
            haproxy: None,
            agent: None,
            folder,
            changes: Vec::new(),
            socket: None,
        };
        world.start_agent().await;
        world
    }

    /// Agent and HAProxy, in line with each other.
    pub(crate) async fn new() -> Self {
        let mut world = Self::without_haproxy().await;
        world.start_haproxy().await;
        world
    }

    /// An agent that does not serve yet, or why there is none.
    pub(crate) async fn bind_agent(&self) -> Result<Agent, AgentError> {
        let start = Instant::now();
        loop {
            match Agent::bind(&self.settings, Arc::new(SystemClock)).await {
                // Another test may just have had the port that was free for a moment. A program
                // that another test is starting has our descriptors, and so the lock, until its
                // exec.
                Err(AgentError::Listen { .. } | AgentError::Disk(DiskError::Locked(_)))
                    if start.elapsed() < BOUND =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                bound => return bound,
            }
        }
    }

    pub(crate) async fn start_agent(&mut self) {
        let agent = match self.bind_agent().await {
            Ok(agent) => agent,
            Err(error) => panic!("the agent does not start: {error:?}"),
        };
        let (address, tls_address) = (agent.local_addr(), agent.tls_addr());
        let stop = CancellationToken::new();
        let task = tokio::spawn(agent.serve(stop.clone()));
        // HAProxy's configuration names the port: the next agent takes the same.
        self.settings.listen = address;
        self.agent = Some(RunningAgent {
            address,
            tls_address,
            stop,
            task,
        });
    }

    pub(crate) async fn stop_agent(&mut self) {
        let agent = self.agent.take().expect("an agent runs");
        let address = agent.address;
        agent.stop.cancel();
        agent.task.await.unwrap().unwrap();
        // A child of another test that is just being started still has the listener's descriptor.
        // The next agent could not listen before that child executes its program.
        eventually("nobody listens at the agent's address", async || {
            TcpStream::connect(address).await.is_err()
        })
        .await;
    }

    /// Starts HAProxy from the shipped configuration and waits until the agent has it in line.
    pub(crate) async fn start_haproxy(&mut self) {
        self.spawn_haproxy();
        let client = self.client();
        eventually("the agent sees HAProxy in line", async || {
            assert!(
                self.haproxy.as_mut().unwrap().try_wait().unwrap().is_none(),
                "HAProxy ended: {}",
                self.haproxy_log()
            );
            let pid = self.haproxy.as_ref().map(Child::id);
            let health = client.health().await.unwrap();
            health.status == HealthStatus::Ok && health.haproxy.pid == pid
        })
        .await;
    }

    pub(crate) fn spawn_haproxy(&mut self) {
        self.spawn_haproxy_with(&[]);
    }

    pub(crate) fn spawn_haproxy_with(&mut self, arguments: &[&str]) {
        assert!(self.haproxy.is_none(), "HAProxy runs already");
        let log = std::fs::File::create(self.folder.path().join("haproxy.log")).unwrap();
        let child = Command::new(haproxy())
            .arg("-db")
            .args(arguments)
            .arg("-f")
            .arg(self.write_configuration())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("HAProxy can be started");
        self.haproxy = Some(child);
    }

    /// Kills HAProxy at once; it saves nothing.
    pub(crate) fn kill_haproxy(&mut self) {
        let mut child = self.haproxy.take().expect("HAProxy runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn haproxy_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("haproxy.log")).unwrap_or_default()
    }

    /// Has HAProxy read another line in the place of one of the shipped configuration, from its
    /// next start on.
    pub(crate) fn replace_in_configuration(&mut self, usual: &str, other: &str) {
        self.changes.push((usual.to_owned(), other.to_owned()));
    }

    /// Puts HAProxy's socket elsewhere, so that a relay can listen at the agent's path. Returns the
    /// path.
    pub(crate) fn put_socket_elsewhere(&mut self) -> PathBuf {
        let socket = self.folder.path().join("relayed.sock");
        self.socket = Some(socket.display().to_string());
        socket
    }

    /// The configuration that we ship, with this world's paths and ports in the place of the usual
    /// ones.
    pub(crate) fn write_configuration(&self) -> PathBuf {
        let shipped = include_str!("../../../../deploy/haproxy/haproxy.cfg");
        let agent = self
            .agent
            .as_ref()
            .map_or(self.settings.listen, |agent| agent.address);
        let mut text = shipped.to_owned();
        for (usual, other) in &self.changes {
            text = text.replace(usual, other);
        }
        let socket = self.socket();
        // HAProxy and the agent spell a TCP socket differently.
        let socket = socket.strip_prefix("tcp:").unwrap_or(socket);
        for (usual, ours) in [
            ("/run/haproxy/domain-agent.sock", socket),
            (
                "/var/lib/haproxy-domain-agent",
                self.settings.state_directory.to_str().unwrap(),
            ),
            (":80,[::]:80", &self.http.to_string()),
            (":443,[::]:443", &self.https.to_string()),
            ("127.0.0.1:9402", &agent.to_string()),
            // Only root may hand a socket to another user and become another user.
            (" user haproxy group haproxy-domain-agent", ""),
            ("    user haproxy\n    group haproxy\n", ""),
            ("    chroot /var/lib/haproxy\n", ""),
        ] {
            assert!(
                text.contains(usual),
                "the shipped configuration has no {usual}"
            );
            text = text.replace(usual, ours);
        }
        let path = self.folder.path().join("haproxy.cfg");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn socket(&self) -> &str {
        self.socket
            .as_deref()
            .unwrap_or(&self.settings.haproxy_socket)
    }

    /// `haproxy -c`: would a HAProxy that knows nothing start with the directory as it is?
    pub(crate) fn assert_loadable(&self) {
        let output = Command::new(haproxy())
            .arg("-c")
            .arg("-f")
            .arg(self.write_configuration())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Whether a process of HAProxy has the crt-list open.
    pub(crate) fn is_loading(&self) -> bool {
        let list = self.state("crt-list.txt");
        let is_list = |file: PathBuf| {
            std::fs::read_link(file).is_ok_and(|file| {
                // The system marks the path of a file that was replaced.
                file.to_string_lossy().starts_with(&*list.to_string_lossy())
            })
        };
        processes("haproxy").any(|process| entries(&process.join("fd")).any(is_list))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.haproxy.as_ref().expect("HAProxy runs").id()
    }

    pub(crate) fn agent_url(&self) -> String {
        format!(
            "http://{}",
            self.agent.as_ref().expect("an agent runs").address
        )
    }

    /// Where the agent speaks TLS.
    pub(crate) fn tls_address(&self) -> SocketAddr {
        let agent = self.agent.as_ref().expect("an agent runs");
        agent.tls_address.expect("the agent speaks TLS")
    }

    /// A client for an agent that runs as a process of its own, where the agent of this world did.
    pub(crate) fn client_at_its_usual_address(&self) -> AgentClient {
        let url = format!("http://{}", self.settings.listen).parse().unwrap();
        AgentClient::new(url, SecretString::from(TOKEN), ClientOptions::default()).unwrap()
    }

    pub(crate) fn client(&self) -> AgentClient {
        let url = self.agent_url().parse().unwrap();
        AgentClient::new(url, SecretString::from(TOKEN), ClientOptions::default()).unwrap()
    }

    /// A client for HAProxy's Runtime API beside the agent's: an operator at work.
    pub(crate) fn operator(&self) -> RuntimeApi {
        let limits = RuntimeLimits {
            deadline: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(10),
            max_request_bytes: 15_872,
        };
        RuntimeApi::new(self.socket().parse().unwrap(), limits)
    }

    pub(crate) fn list(&self) -> ListName {
        ListName::parse(self.state("crt-list.txt").to_str().unwrap()).unwrap()
    }

    /// The store of a hostname, found in the crt-list on disk.
    pub(crate) fn store(&self, hostname: &Hostname) -> StoreName {
        let list = std::fs::read_to_string(self.state("crt-list.txt")).unwrap();
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!("/{hostname}.pem {hostname}")));
        let (name, _) = line
            .and_then(|line| line.split_once(' '))
            .expect("the hostname is listed");
        StoreName::parse(name).unwrap()
    }

    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.settings.state_directory.join(path)
    }

    /// Every file of the state directory with its content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.settings.state_directory, &mut files);
        files
    }

    /// A customer's client: trusts the authority's root, checks chain, name and dates; the
    /// fingerprint of the leaf if all is well.
    pub(crate) async fn visit(&self, hostname: &Hostname) -> Option<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.root.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(hostname.to_string()).unwrap();
        let tcp = TcpStream::connect(self.https).await.ok()?;
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .ok()?;
        tls.get_ref()
            .1
            .peer_certificates()?
            .first()
            .map(|leaf| CertificateChain::fingerprint_of(leaf))
    }

    pub(crate) async fn assert_serves(&self, issued: &Issued) {
        assert_eq!(
            self.visit(&issued.hostname).await.as_deref(),
            Some(issued.fingerprint()),
            "{}",
            issued.hostname
        );
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The folders in `/proc` of all processes with this name.
fn processes(name: &'static str) -> impl Iterator<Item = PathBuf> {
    let name_of = |process: &PathBuf| std::fs::read_to_string(process.join("comm"));
    entries(Path::new("/proc"))
        .filter(move |process| name_of(process).is_ok_and(|found| found.trim() == name))
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(agent) = &self.agent {
            agent.stop.cancel();
        }
        if let Some(mut child) = self.haproxy.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Where HAProxy is: Debian keeps it in a directory that is in the PATH of root alone.
fn haproxy() -> PathBuf {
    dps_lab::process::find_program("haproxy", "haproxy", &[]).unwrap()
}
