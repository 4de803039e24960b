//! Builds the world of one test and tears it down.

mod customer;
mod dps;
mod edge;
mod settings;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_lab::dns::{DnsServer, Zone};
use dps_lab::haproxy::HaProxy;
use dps_lab::pebble::{Pebble, PebbleOptions};
use dps_lab::process::Process;
use dps_lab::web::{Answer, WebServer};
use dps_lab::{free_port, postgres, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use self::customer::Customer;
pub(crate) use self::dps::{AGENT_TOKEN, Log, dps};

/// Where customers point.
pub(crate) const TARGET: &str = "customers.platform.test";
/// The edge.
pub(crate) const EDGE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The other edges, where there are any.
pub(crate) const MORE_EDGES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(127, 0, 0, 4), Ipv4Addr::new(127, 0, 0, 5)];
/// An address that counts as ours, but where another server answers HTTP.
pub(crate) const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// An address that counts as ours, but where no server answers HTTP in time.
pub(crate) const UNANSWERING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Under which name the agents are found.
pub(crate) const AGENTS: &str = "_haproxy-agent._tcp.platform.test";
/// The authoritative server of customers' zones, in the eyes of every resolver.
pub(crate) const NAME_SERVER: &str = "ns1.dns.test";
/// How long anything may take on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
/// The site behind HAProxy.
pub(crate) const GREETING: &str = "Hello from behind the edge.\n";

/// Which database the CertificateStore is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file, made on the first start.
    Sqlite,
    /// This server, as a connection string in any form.
    Postgres(String),
}

/// Where the CA looks names up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaResolver {
    /// At the first resolver of the service.
    First,
    /// At one that sees the zone of the authoritative servers.
    Source,
}

/// The differences from the default world.
pub(crate) struct Options {
    pub(crate) database: Database,
    /// Laid over the settings.
    pub(crate) settings: Value,
    /// More environment variables for all three processes.
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// Changes Pebble.
    pub(crate) pebble: fn(&mut PebbleOptions),
    /// Whether the second resolver has a zone of its own.
    pub(crate) split_dns: bool,
    /// Where the CA looks names up.
    pub(crate) ca_resolver: CaResolver,
    /// How many more edges there are, each with an agent of its own, at [`MORE_EDGES`].
    pub(crate) more_edges: usize,
    /// Whether agents are found by SRV records of [`AGENTS`], at first that of the first edge
    /// alone, instead of being listed.
    pub(crate) discovery: bool,
    /// Whether service and agents call each other by mutual TLS, with certificates of `dps pki
    /// init`, beside the token.
    pub(crate) mutual_tls: bool,
    /// The network namespace of the service, as a file; `None` for that of the test.
    pub(crate) service_namespace: Option<&'static str>,
    /// Called with the home and the CA's directory URL before a process of ours starts.
    pub(crate) prepare: Option<Prepare>,
}

/// Prepares the files and databases that the processes find.
pub(crate) type Prepare = Box<dyn FnOnce(&Path, &str) + Send>;

impl Default for Options {
    fn default() -> Self {
        Self {
            database: Database::Sqlite,
            settings: json!({}),
            environment: Vec::new(),
            pebble: |_| {},
            split_dns: false,
            ca_resolver: CaResolver::First,
            more_edges: 0,
            discovery: false,
            mutual_tls: false,
            service_namespace: None,
            prepare: None,
        }
    }
}

impl Options {
    /// Tries again soon after every failure, so that a test does not wait half a minute for the
    /// next try.
    pub(crate) fn quick() -> Self {
        let lane = json!({ "Interval": "300ms", "MaxBackoff": "1s" });
        Self {
            settings: json!({ "Workers": {
                "DomainVerification": lane,
                "HttpProbe": { "Interval": "300ms", "MaxBackoff": "1s", "Timeout": "2s" },
                "AcmeIssuance": lane,
                "Removal": lane,
            } }),
            ..Self::default()
        }
    }

    /// Lays more over the settings.
    pub(crate) fn with(mut self, more: &Value) -> Self {
        settings::merge(&mut self.settings, more);
        self
    }
}

/// The file of the roots that the service believes.
const ROOTS: &str = "roots.pem";

/// Everything, running. Fields are dropped in order: what asks stops before what answers.
pub(crate) struct World {
    pub(crate) service: Process,
    pub(crate) agent: Process,
    pub(crate) cabinet: Process,
    pub(crate) haproxy: HaProxy,
    /// As many as the options want.
    pub(crate) more_edges: Vec<MoreEdge>,
    pub(crate) pebble: Pebble,
    /// The zone of the first resolver and the CA.
    pub(crate) zone: Zone,
    /// The zone of the second resolver: the same, unless the DNS is split.
    pub(crate) second_zone: Zone,
    /// The zone of the authoritative servers.
    pub(crate) source: Zone,
    pub(crate) customer: Customer,
    /// Where visitors come.
    pub(crate) https: SocketAddr,
    /// Health and metrics of the service.
    pub(crate) surface: SocketAddr,
    /// The root that visitors trust.
    pub(crate) root_pem: String,
    addresses: Addresses,
    dns: [DnsServer; 2],
    /// The authoritative server, and the CA's resolver.
    _source: [DnsServer; 2],
    _others: [WebServer; 3],
    home: TempDir,
}

/// Another HAProxy with its agent.
pub(crate) struct MoreEdge {
    pub(crate) agent: Process,
    pub(crate) haproxy: HaProxy,
    /// Where its visitors come.
    pub(crate) https: SocketAddr,
    /// Where the agent listens without encryption.
    pub(crate) listen: SocketAddr,
    /// Where the agent speaks TLS.
    pub(crate) tls: SocketAddr,
    /// Where the agent keeps what it serves.
    pub(crate) state: PathBuf,
}

/// Where the processes of ours listen.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    http: SocketAddr,
    https: SocketAddr,
    agent: SocketAddr,
    /// With mutual TLS.
    agent_tls: SocketAddr,
    cabinet: SocketAddr,
    service: SocketAddr,
}

impl World {
    #[expect(clippy::too_many_lines, reason = "one setting after the other")]
    pub(crate) async fn start(mut options: Options) -> Self {
        let home = tempfile::Builder::new()
            .prefix("dps-e2e-")
            .tempdir()
            .unwrap();
        let at = Addresses::free();
        let zone = Zone::new();
        let second_zone = if options.split_dns {
            Zone::new()
        } else {
            zone.clone()
        };
        let more = &MORE_EDGES[..options.more_edges];
        let source = Zone::new();
        for zone in [&zone, &second_zone, &source] {
            zone.set_a(NAME_SERVER, &[EDGE]);
            let edges: Vec<Ipv4Addr> = std::iter::once(&EDGE).chain(more).copied().collect();
            zone.set_a(TARGET, &edges);
        }
        let more: Vec<Addresses> = more.iter().map(|address| at.of_edge(*address)).collect();
        let agents: Vec<&Addresses> = std::iter::once(&at).chain(&more).collect();
        if options.discovery {
            zone.set_srv(AGENTS, &[("localhost", at.agent_tls.port())])
                .unwrap();
        }
        let resolvers = [
            DnsServer::start(local(0), zone.clone()).await.unwrap(),
            DnsServer::start(local(0), second_zone.clone())
                .await
                .unwrap(),
        ];
        let sources = [
            DnsServer::start_authoritative(local(0), source.clone())
                .await
                .unwrap(),
            DnsServer::start(local(0), source.clone()).await.unwrap(),
        ];
        let entry = WebServer::start(local(0), content(GREETING)).await.unwrap();
        let others = [
            WebServer::start(
                (STRANGER, at.http.port()).into(),
                content("Somebody else.\n"),
            )
            .await
            .unwrap(),
            WebServer::start((UNANSWERING, at.http.port()).into(), Answer::Unanswered)
                .await
                .unwrap(),
        ];
        let [name_server, fresh] = sources.each_ref().map(DnsServer::address);
        let of_ca = match options.ca_resolver {
            CaResolver::Source => fresh,
            CaResolver::First => resolvers[0].address(),
        };
        settings::merge(
            &mut options.settings,
            &json!({ "Dns": { "AuthoritativePort": name_server.port() } }),
        );
        let mut pebble = PebbleOptions::new(of_ca, at.http.port());
        (options.pebble)(&mut pebble);
        let pebble = Pebble::start(&pebble).await.unwrap();
        let root_pem = pebble.root_pem().await.unwrap();
        std::fs::write(home.path().join(ROOTS), &root_pem).unwrap();
        std::fs::write(home.path().join("ca.pem"), pebble.ca_pem()).unwrap();

        let dns = resolvers.each_ref().map(DnsServer::address);
        if options.mutual_tls {
            let machines = [
                "--service",
                "dps1",
                "--edge",
                "one=localhost,127.0.0.1",
                "--edge",
                "two=localhost,127.0.0.1",
            ];
            let made = dps(
                home.path(),
                &[["pki", "init", "--out", "pki"].as_slice(), &machines].concat(),
            );
            assert!(made.status.success(), "{made:?}");
        }
        settings::write(
            home.path(),
            &options,
            &at,
            (&pebble.directory_url(), dns, &agents),
        );
        if let Some(prepare) = options.prepare.take() {
            prepare(home.path(), &pebble.directory_url());
        }
        let start = |role| dps::start(home.path(), role, &options.environment);
        let (mut cabinet, mut agent) = (start("cabinet"), start("agent"));
        cabinet.wait_for_port(at.cabinet, TIMEOUT).await.unwrap();
        agent.wait_for_port(at.agent, TIMEOUT).await.unwrap();
        let haproxy = edge::start(home.path(), &at, entry.address()).await;
        let mut more_edges = Vec::new();
        for (number, at) in more.iter().enumerate() {
            let pki = options.mutual_tls.then(|| home.path().join("pki/edge-two"));
            let home = home.path().join(format!("edge-{}", number + 2));
            more_edges.push(MoreEdge::start(&home, at, entry.address(), pki.as_deref()).await);
        }
        let mut service = match options.service_namespace {
            None => start("run"),
            Some(namespace) => dps::start_in_namespace(home.path(), namespace),
        };
        wait_until_started(&mut service).await;
        let [stranger, unanswering] = others;
        Self {
            service,
            agent,
            cabinet,
            haproxy,
            more_edges,
            pebble,
            zone,
            second_zone,
            source,
            customer: Customer::new(at.cabinet),
            https: at.https,
            surface: at.service,
            root_pem,
            addresses: at,
            dns: resolvers,
            _source: sources,
            _others: [entry, stranger, unanswering],
            home,
        }
    }

    /// A hostname that points to us by CNAME, in the eyes of everybody.
    pub(crate) fn point_at_us(&self, host: &str) {
        for zone in [&self.zone, &self.second_zone] {
            zone.clear(host);
            zone.set_cname(host, TARGET).unwrap();
        }
    }

    /// The owner of the name publishes the TXT record that this domain asks for.
    pub(crate) fn publish_proof(&self, domain: &Value) {
        let proof = &domain["ownershipVerification"];
        assert_eq!(proof["type"], "TXT", "{domain}");
        let field = |name: &str| proof[name].as_str().unwrap();
        let sentence = domain["lastErrorMessage"].as_str().unwrap();
        assert!(sentence.contains(field("value")), "{sentence}");
        for zone in [&self.zone, &self.second_zone] {
            zone.set_txt(field("name"), &["v=spf1 -all", field("value")]);
        }
    }

    /// A customer points a hostname at us and adds it; answers its identifier.
    pub(crate) async fn add(&self, host: &str) -> String {
        self.point_at_us(host);
        self.customer.add(host).await
    }

    /// Waits until the Cabinet shows the domain as wanted. A domain that takes too long is shown
    /// with the end of the service's log.
    pub(crate) async fn wait_until(
        &self,
        id: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.wait_longer_for(id, TIMEOUT, what, wanted).await
    }

    /// As [`Self::wait_until`], with a bound of its own.
    pub(crate) async fn wait_longer_for(
        &self,
        id: &str,
        bound: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let read = async {
            loop {
                last = self.customer.read(id).await;
                if wanted(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(bound, read).await.is_ok();
        assert!(
            in_time,
            "{what}: not within {bound:?}, but {last:#}\n{}",
            self.service.log_tail()
        );
        last
    }

    pub(crate) async fn wait_for_status(&self, id: &str, status: &str) -> Value {
        self.wait_until(id, status, |domain| domain["status"] == status)
            .await
    }

    /// Waits until the customer reads this code.
    pub(crate) async fn wait_for_code(&self, id: &str, code: &str) -> Value {
        self.wait_until(id, code, |domain| domain["lastErrorCode"] == code)
            .await
    }

    /// Makes the service believe what this root issues, and nothing else.
    pub(crate) fn trust(&self, root_pem: &str) {
        std::fs::write(self.home.path().join(ROOTS), root_pem).unwrap();
    }

    /// A visitor's request, verified against the CA's root.
    pub(crate) async fn visit(&self, host: &str) -> String {
        let reply = dps_lab::tls::https_get(self.https, host, "/", &self.root_pem).await;
        let reply = reply.unwrap_or_else(|error| panic!("{error:?}\n{}", self.agent.log_tail()));
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, GREETING),
            "{}",
            reply.head
        );
        reply.leaf.fingerprint
    }

    /// Waits until a visitor is served.
    pub(crate) async fn wait_until_served(&self, host: &str) -> String {
        self.wait_until_served_by(host, &self.root_pem).await
    }

    /// Waits until a visitor is served a certificate of the CA with this root.
    pub(crate) async fn wait_until_served_by(&self, host: &str, root_pem: &str) -> String {
        let what = format!("{host} is served");
        let leaf = wait::until(&what, TIMEOUT, || async {
            dps_lab::tls::served_leaf(self.https, host, root_pem)
                .await
                .ok()
        });
        match leaf.await {
            Ok(leaf) => leaf.fingerprint,
            Err(error) => panic!("{error}\n{}", self.service.log_tail()),
        }
    }

    /// Asks the service's own HTTP interface; answers status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.customer
            .get(&format!("http://{}{path}", self.surface))
            .await
    }

    /// Ends the service if it still runs, starts it with these environment variables, and waits
    /// until its workers run.
    pub(crate) async fn start_service_again_with(&mut self, environment: &[(&str, &str)]) {
        self.service.kill().unwrap();
        self.service = dps::start(self.home.path(), "run", environment);
        wait_until_started(&mut self.service).await;
    }

    /// Ends the service if it still runs, starts `role` with these environment variables, and waits
    /// until it has ended by itself. Answers what it said.
    pub(crate) async fn start_in_vain(
        &mut self,
        role: &str,
        environment: &[(&str, &str)],
    ) -> String {
        self.service.kill().unwrap();
        let mut process = dps::start(self.home.path(), role, environment);
        let status = process.wait_for_exit(TIMEOUT).await.unwrap();
        assert!(!status.success(), "{}", process.log_tail());
        process.log_text()
    }

    /// Starts the service anew with an empty database on a disk of so many KiB. Answers the disk's
    /// directory as the test sees it.
    pub(crate) async fn start_service_on_small_disk(&mut self, kib: u32) -> PathBuf {
        self.service.kill().unwrap();
        let disk = self.home.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        self.service = dps::start_on_small_disk(self.home.path(), &disk, kib);
        wait_until_started(&mut self.service).await;
        let root = PathBuf::from(format!("/proc/{}/root", self.service.pid()));
        root.join(disk.strip_prefix("/").unwrap())
    }

    /// Starts one more replica of the service, with more environment variables, and waits until its
    /// workers run.
    pub(crate) async fn start_replica(&self, name: &str, environment: &[(&str, &str)]) -> Process {
        let surface = local(free_port().unwrap());
        let listen = surface.to_string();
        let mut own = vec![("Http__Listen", listen.as_str()), ("Replica__Name", name)];
        own.extend_from_slice(environment);
        let mut process = dps::start_replica(self.home(), name, &own);
        wait_until_started(&mut process).await;
        process
    }

    /// Starts the killed service again and waits until its workers run.
    pub(crate) async fn restart_service(&mut self) {
        self.service.restart().unwrap();
        wait_until_started(&mut self.service).await;
    }

    /// Starts the killed Cabinet again and waits until it answers.
    pub(crate) async fn restart_cabinet(&mut self) {
        self.cabinet.restart().unwrap();
        let address = self.addresses.cabinet;
        self.cabinet.wait_for_port(address, TIMEOUT).await.unwrap();
    }

    /// Starts the killed agent again and waits until it answers.
    pub(crate) async fn restart_agent(&mut self) {
        self.agent.restart().unwrap();
        let address = self.addresses.agent;
        self.agent.wait_for_port(address, TIMEOUT).await.unwrap();
    }

    /// Starts `dps standalone` with the same settings, once the three are gone, and waits until all
    /// its parts answer.
    pub(crate) async fn start_standalone(&self) -> Process {
        let mut process = dps::start(self.home(), "standalone", &[]);
        let at = self.addresses;
        for address in [at.cabinet, at.agent] {
            process.wait_for_port(address, TIMEOUT).await.unwrap();
        }
        wait_until_started(&mut process).await;
        process
    }

    /// Where the agent of the first edge speaks TLS.
    pub(crate) const fn agent_tls(&self) -> SocketAddr {
        self.addresses.agent_tls
    }

    /// Where the agent of the first edge listens without encryption.
    pub(crate) const fn agent_listen(&self) -> SocketAddr {
        self.addresses.agent
    }

    /// Where the Cabinet listens.
    pub(crate) const fn cabinet_listen(&self) -> SocketAddr {
        self.addresses.cabinet
    }

    /// The events of the service's log so far.
    pub(crate) fn log(&self) -> Log {
        Log::parse(&self.service.log_text())
    }

    /// The addresses of the resolvers.
    pub(crate) fn resolvers(&self) -> [SocketAddr; 2] {
        self.dns.each_ref().map(DnsServer::address)
    }

    /// Where the first edge answers on what stands for port 80.
    pub(crate) const fn http(&self) -> SocketAddr {
        self.addresses.http
    }

    /// The directory with the settings, the databases and the logs.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the agent keeps what it serves.
    pub(crate) fn agent_state(&self) -> PathBuf {
        self.home.path().join("agent")
    }
}

/// Waits until the workers run. The service listens before it opens the store and checks the
/// settings against it, so an open port says less.
async fn wait_until_started(service: &mut Process) {
    let started = service.wait_for_log("\"service.started\"", TIMEOUT);
    started.await.unwrap();
}

impl MoreEdge {
    async fn start(home: &Path, at: &Addresses, entry: SocketAddr, pki: Option<&Path>) -> Self {
        std::fs::create_dir(home).unwrap();
        settings::write_agent(home, at, pki);
        let mut agent = dps::start(home, "agent", &[]);
        agent.wait_for_port(at.agent, TIMEOUT).await.unwrap();
        let haproxy = edge::start(home, at, entry).await;
        Self {
            agent,
            haproxy,
            https: at.https,
            listen: at.agent,
            tls: at.agent_tls,
            state: home.join("agent"),
        }
    }

    /// The machine goes down.
    pub(crate) fn kill(&mut self) {
        self.haproxy.kill().unwrap();
        self.agent.kill().unwrap();
    }

    /// The machine comes up again.
    pub(crate) async fn restart(&mut self) {
        self.agent.restart().unwrap();
        self.agent
            .wait_for_port(self.listen, TIMEOUT)
            .await
            .unwrap();
        self.haproxy.restart().await.unwrap();
    }
}

impl Addresses {
    /// The same with another edge: its port 80 is the same, as the CA sees it.
    fn of_edge(&self, edge: Ipv4Addr) -> Self {
        Self {
            http: (edge, self.http.port()).into(),
            https: (edge, free_port().unwrap()).into(),
            agent: local(free_port().unwrap()),
            agent_tls: local(free_port().unwrap()),
            ..*self
        }
    }

    fn free() -> Self {
        let next = || local(free_port().unwrap());
        Self {
            http: next(),
            https: next(),
            agent: next(),
            agent_tls: next(),
            cabinet: next(),
            service: next(),
        }
    }
}

/// Runs the story in a world of each database, one after the other.
pub(crate) async fn on_both(story: impl AsyncFn(Database)) {
    story(Database::Sqlite).await;
    story(Database::Postgres(npgsql_database().await)).await;
}

/// A new database in the PostgreSQL that all tests share, as an `Npgsql` connection string.
pub(crate) async fn npgsql_database() -> String {
    let url = postgres::fresh_database().await.unwrap();
    npgsql(&url)
}

/// The `Npgsql` form of the URL of a database of the lab.
pub(crate) fn npgsql(url: &str) -> String {
    let url: url::Url = url.parse().unwrap();
    format!(
        "Host={};Port={};Database={};Username={};Password='any; one'",
        url.host_str().unwrap(),
        url.port().unwrap(),
        url.path().trim_start_matches('/'),
        url.username(),
    )
}

fn content(body: &str) -> Answer {
    Answer::Content {
        status: 200,
        body: body.to_owned(),
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
