//! Starts and stops everything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use dps_database::ConnectionString;
use dps_domain::Timestamp;
use dps_host::{HumanDuration, Secret, telemetry};
use dps_lab::dns::{DnsServer, Zone};
use dps_lab::haproxy::HaProxy;
use dps_lab::pebble::{Pebble, PebbleOptions};
use dps_lab::wait;
use dps_lab::web::{Answer, WebServer};
use dps_x509::create_private_file;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::cast::{CNAME_TARGET, EDGE, STRANGER, set_dns};
use super::{dns_desk, haproxy};
use crate::config::{AdminRole, AdminToken, EdgeAddress, ResolverAddress, Settings};
use crate::standalone::{self, Standalone};

/// Ports that are taken when they are free, so that a command typed twice fits twice.
const HTTP_PORT: u16 = 5080;
const HTTPS_PORT: u16 = 5443;
const CABINET_PORT: u16 = 8081;
const SERVICE_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8082;
const AGENT_PORT: u16 = 9402;
const DNS_PORT: u16 = 5353;
const DNS_DESK_PORT: u16 = 8053;
/// How long the agent may take to see HAProxy.
const START_BOUND: Duration = Duration::from_secs(30);
/// The token of the platform's backend for the demo's Cabinet, which listens on loopback and
/// forgets everything at its end.
const API_TOKEN: &str = "demo-customer-token";
/// The operator's token for the dashboard, likewise.
const ADMIN_TOKEN: &str = "demo-operator-token";

/// Everything, running on loopback.
pub(super) struct World {
    pub(super) standalone: Standalone,
    pub(super) zone: Zone,
    pub(super) https: SocketAddr,
    /// The root that signs what Pebble issues.
    pub(super) root_pem: String,
    pub(super) api_token: Secret,
    root_file: PathBuf,
    dns: Vec<DnsServer>,
    dns_desk: SocketAddr,
    pub(super) pebble: Pebble,
    pub(super) haproxy: HaProxy,
    _stranger: WebServer,
    stop: CancellationToken,
    directory: TempDir,
}

impl World {
    pub(super) async fn start(stop: CancellationToken) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("dps-demo-")
            .tempdir()
            .context("cannot create a directory")?;
        let path = directory.path();
        telemetry::init_file(&path.join("dps.log"), Some("debug"))?;

        let zone = Zone::new();
        set_dns(&zone)?;
        let first = DnsServer::start(local(port(DNS_PORT)?), zone.clone()).await?;
        let second = DnsServer::start(local(0), zone.clone()).await?;
        let http = local(port(HTTP_PORT)?);
        let https = local(port(HTTPS_PORT)?);
        let stranger = Answer::Content {
            status: 200,
            body: "The museum is open from ten to six.\n".into(),
        };
        let stranger =
            WebServer::start(SocketAddr::from((STRANGER, http.port())), stranger).await?;
        let pebble = Pebble::start(&PebbleOptions {
            certificate_validity: Some(Duration::from_secs(90 * 24 * 3600)),
            ..PebbleOptions::new(first.address(), http.port())
        })
        .await?;
        let pebble_ca = path.join("pebble-ca.pem");
        std::fs::write(&pebble_ca, pebble.ca_pem()).context("cannot write the CA's certificate")?;
        let root_pem = pebble.root_pem().await?;
        let root_file = path.join("root.pem");
        std::fs::write(&root_file, &root_pem).context("cannot write the root certificate")?;

        let dns_desk =
            dns_desk::open(local(port(DNS_DESK_PORT)?), zone.clone(), stop.clone()).await?;
        let api_token = Secret::from(API_TOKEN);
        let mut settings = settings(path, https, http.port(), &api_token)?;
        settings.dns.resolvers = vec![
            ResolverAddress(first.address()),
            ResolverAddress(second.address()),
        ];
        settings.lets_encrypt.directory_url =
            pebble.directory_url().parse().context("Pebble's URL")?;
        settings.lets_encrypt.ca_certificate_file = Some(pebble_ca);
        settings.lets_encrypt.roots_file = Some(root_file.clone());
        let grace = settings.agent.reload_grace;
        let standalone = standalone::start(settings, stop.clone()).await?;

        let config = haproxy::config(
            &path.join("haproxy.sock"),
            &path.join("agent"),
            http,
            https,
            standalone.agent,
        );
        let home = path.join("haproxy");
        std::fs::create_dir(&home).context("cannot create a directory for HAProxy")?;
        let haproxy = HaProxy::start(&home, &config, &[http, https]).await?;
        // As in operation, HAProxy has loaded its files some time ago when a customer comes.
        wait_for_agent(standalone.agent).await?;
        tokio::time::sleep(grace.get()).await;
        Ok(Self {
            standalone,
            zone,
            https,
            root_pem,
            api_token,
            root_file,
            dns: vec![first, second],
            dns_desk,
            pebble,
            haproxy,
            _stranger: stranger,
            stop,
            directory,
        })
    }

    /// The present moment, by the service's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.standalone.service.clock.now()
    }

    /// The address of the dashboard and how to sign in.
    pub(super) fn dashboard(&self) -> Vec<String> {
        let line =
            |admin| format!("Dashboard: http://{admin}/ (sign in with the token {ADMIN_TOKEN})\n");
        Vec::from_iter(self.standalone.admin.map(line))
    }

    /// The commands to try while it stays up.
    pub(super) fn invitation(&self) -> Vec<String> {
        let cabinet = self.standalone.cabinet;
        let (https, root) = (self.https.port(), self.root_file.display());
        let host = super::cast::RENEWED;
        vec![
            String::new(),
            self.dashboard().concat(),
            format!(
                "Cabinet    http://{cabinet}/api/v1/custom-domains   (Authorization: Bearer {API_TOKEN})"
            ),
            format!(
                "Service    http://{}/health   http://{0}/metrics",
                self.standalone.http
            ),
            format!("Agent      http://{}/health", self.standalone.agent),
            format!(
                "DNS        {}   (everything below demo.test points at the edge)",
                self.dns[0].address()
            ),
            format!(
                "DNS desk   http://{}   (PUT or DELETE /name to change a customer's record)",
                self.dns_desk
            ),
            format!(
                "Log        {}",
                self.directory.path().join("dps.log").display()
            ),
            String::new(),
            "Visit a customer's site:".into(),
            format!(
                "  curl --cacert {root} --resolve {host}:{https}:127.0.0.1 https://{host}:{https}/"
            ),
            "Add a domain and read its state:".into(),
            format!(
                "  curl -H 'Authorization: Bearer {API_TOKEN}' -H 'Content-Type: application/json' \\\n       \
                 -d '{{\"tenantId\":\"you\",\"hostname\":\"first.demo.test\"}}' http://{cabinet}/api/v1/custom-domains"
            ),
            format!(
                "  curl -H 'Authorization: Bearer {API_TOKEN}' 'http://{cabinet}/api/v1/custom-domains?hostname=first.demo.test'"
            ),
            String::new(),
            "Ctrl-C ends it and cleans up.".into(),
        ]
    }

    /// Leaves the logs where they are, for an analysis of the failure.
    pub(super) fn keep_logs(&self) -> String {
        let kept = std::env::temp_dir().join(format!("dps-demo-{}.log", std::process::id()));
        match std::fs::copy(self.directory.path().join("dps.log"), &kept) {
            Ok(_) => kept.display().to_string(),
            Err(error) => format!("nowhere: {error}"),
        }
    }

    /// Drains the service, stops the others, removes the directory.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.standalone.finish().await?;
        self.haproxy.kill()?;
        drop(self.pebble);
        self.directory
            .close()
            .context("cannot remove the demo's directory")
    }
}

fn settings(
    path: &Path,
    https: SocketAddr,
    http_port: u16,
    api_token: &Secret,
) -> anyhow::Result<Settings> {
    let database = |name: &str| format!("sqlite://{}", path.join(name).display());
    let mut settings = Settings::default();
    settings.http.listen = local(port(SERVICE_PORT)?);
    settings.certificate_store.connection_string =
        ConnectionString::from(database("dps.db").as_str());
    settings.lets_encrypt.terms_of_service_agreed = true;
    let workers = &mut settings.workers;
    // So that a person watching does not wait half a minute for the next DNS check.
    workers.domain_verification.interval = HumanDuration::from_secs(2);
    workers.domain_verification.max_backoff = HumanDuration::from_secs(5);
    workers.domain_verification.edge_addresses = edge_addresses()?;
    workers.http_probe.interval = HumanDuration::from_secs(2);
    workers.http_probe.max_backoff = HumanDuration::from_secs(5);
    workers.http_probe.port = http_port;
    workers.http_probe.allow_private_addresses = true;
    workers.acme_issuance.interval = HumanDuration::from_secs(2);
    // So that a domain which moved away is seen within a minute.
    workers.recheck.interval = HumanDuration::from_secs(60);
    workers.recheck.observations = 1;
    workers.recheck.moved_after = HumanDuration::from_secs(0);
    // Pebble names no CA in its directory, so that CAA records could not be judged.
    settings.lets_encrypt.caa_identities = vec!["ca.demo.test".to_owned()];
    settings.admin.listen = local(port(ADMIN_PORT)?);
    settings.admin.tokens = vec![admin_token(path)?];
    settings.cabinet.listen = local(port(CABINET_PORT)?);
    settings.cabinet.connection_string = ConnectionString::from(database("cabinet.db").as_str());
    settings.cabinet.cname_target = Some(CNAME_TARGET.to_owned());
    settings.cabinet.edge_addresses = vec![IpAddr::V4(EDGE)];
    settings.cabinet.api_token = Some(api_token.clone());
    settings.cabinet.retry_min_interval = HumanDuration::from_secs(1);
    settings.agent.listen = local(port(AGENT_PORT)?);
    settings.agent.state_directory = path.join("agent");
    settings.agent.haproxy_socket = path.join("haproxy.sock").display().to_string();
    settings.agent.tls_address = https;
    Ok(settings)
}

/// Waits until the agent has seen that HAProxy runs.
async fn wait_for_agent(agent: SocketAddr) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let is_healthy = || async {
        let answer = http.get(format!("http://{agent}/health")).send().await;
        answer
            .is_ok_and(|answer| answer.status().is_success())
            .then_some(())
    };
    Ok(wait::until("the agent to see HAProxy", START_BOUND, is_healthy).await?)
}

/// The operator's token, in a file as the service reads it.
fn admin_token(path: &Path) -> anyhow::Result<AdminToken> {
    let file = path.join("admin.token");
    create_private_file(&file, ADMIN_TOKEN.as_bytes()).context("cannot write the admin token")?;
    Ok(AdminToken {
        name: Some("demo".to_owned()),
        role: AdminRole::Admin,
        token_file: Some(file),
    })
}

/// The edge, and the stranger among what the platform takes for its own: as a network, since
/// customers must enter every single address.
fn edge_addresses() -> anyhow::Result<Vec<EdgeAddress>> {
    Ok(vec![
        EdgeAddress(IpAddr::V4(EDGE).into()),
        format!("{STRANGER}/31").parse()?,
    ])
}

/// The wanted port if it is free at the edge's or the stranger's address, else a free one. Over
/// UDP too: desktops listen for mDNS at 5353.
fn port(wanted: u16) -> anyhow::Result<u16> {
    let is_free = [EDGE, STRANGER]
        .into_iter()
        .all(|ip| TcpListener::bind((ip, wanted)).is_ok() && UdpSocket::bind((ip, wanted)).is_ok());
    if is_free {
        Ok(wanted)
    } else {
        Ok(dps_lab::free_port()?)
    }
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_has_over_udp_alone_is_not_taken() {
        let mdns = UdpSocket::bind(local(0)).unwrap();
        let taken = mdns.local_addr().unwrap().port();
        assert_ne!(port(taken).unwrap(), taken);
    }

    #[test]
    fn no_instruction_points_to_the_stranger() {
        let nets: Vec<_> = edge_addresses()
            .unwrap()
            .into_iter()
            .map(|edge| edge.0)
            .collect();
        assert!(nets.iter().any(|net| net.contains(&IpAddr::V4(STRANGER))));
        assert_eq!(
            dps_domain::dns::instruction_addresses(&nets, &[]),
            [IpAddr::V4(EDGE)]
        );
    }
}
