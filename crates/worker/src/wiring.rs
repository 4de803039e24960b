//! Puts the parts together: the only file that names every adapter.

mod certificate_store;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_agent_api::{Access, AgentClient, ClientOptions};
use dps_application::ca::directory;
use dps_application::edges::fleet::Fleet;
use dps_application::operator::diagnose::STORE_TIMEOUT;
use dps_application::ports::{
    AuthoritativeDns, CertificateAuthority as _, DnsResolver, Edge, EdgeDirectory, FleetStore as _,
    Vault,
};
use dps_application::wake::Waker;
use dps_application::{LedgerTokens, Resolvers, Service, rotation};
use dps_host::Secret;
use dps_host::mutual_tls::ClientTls;
use dps_infrastructure::acme::{AcmeAuthority, AcmeSettings};
use dps_infrastructure::cabinet::{CabinetSettings, HttpCabinet};
use dps_infrastructure::dns::{
    AuthoritativeServers, AuthoritativeSettings, DnsSettings, HickoryResolver,
};
use dps_infrastructure::edge::AgentEdge;
use dps_infrastructure::edge_directory::{DirectorySettings, DnsDirectory};
use dps_infrastructure::http_probe::{HyperProbe, ProbeSettings};
use dps_infrastructure::pki::{TrustedRoots, X509Pki};
use dps_infrastructure::secrets::{EnvelopeVault, create_key_file};
use dps_store::Store;
use dps_x509::Roots;
use url::Url;

pub use self::certificate_store::{close_store, open_existing_store, open_store};
pub use self::webhooks::webhook_endpoints;
use crate::config::{AgentTokens, KeySource, Settings};
use crate::system::{SystemClock, SystemRandomness};
use crate::telemetry::{LookupMetrics, Metrics, Timed};

/// Longest time for the CA's directory before a diagnosis.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(3);
/// An edge that was found by DNS and noted so lately is called if the DNS does not answer.
const LISTED_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);

/// The parties of ours that the service talks to.
#[derive(Debug, Clone)]
pub struct Peers {
    /// Where the Cabinet is.
    pub cabinet: Url,
    /// The token for it.
    pub cabinet_token: Secret,
    /// Where the agents are.
    pub agents: Vec<Url>,
    /// Where more agents are found.
    pub directory: Option<DirectorySettings>,
    /// The tokens that we show them.
    pub agent_tokens: AgentTokens,
    /// The certificate that we show them, and the authority that theirs must come from.
    pub agent_tls: Option<ClientTls>,
}

impl Peers {
    /// As the sections `CabinetApi` and `HAProxyAgent` say.
    pub fn configured(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            cabinet: settings
                .cabinet_api
                .base_url
                .clone()
                .context("CabinetApi:BaseUrl is missing")?,
            cabinet_token: settings
                .cabinet_api
                .token()
                .context("cannot read CabinetApi:Token")?
                .context("CabinetApi:Token is missing")?,
            agents: settings.haproxy_agent.urls().into_iter().cloned().collect(),
            directory: settings.haproxy_agent.discovery.settings(),
            agent_tokens: settings
                .haproxy_agent
                .tokens()
                .context("cannot read HAProxyAgent:Token")?,
            agent_tls: settings
                .haproxy_agent
                .client_tls()
                .context("HAProxyAgent:Tls cannot be used")?,
        })
    }
}

/// The key-encryption keys, which must exist.
pub fn open_vault(settings: &Settings) -> anyhow::Result<EnvelopeVault> {
    let source = settings
        .certificate_store
        .key_source()
        .map_err(|reason| anyhow::anyhow!("CertificateStore:EncryptionKey {reason}"))?;
    Ok(EnvelopeVault::new(source.read()?))
}

/// The key-encryption keys. For the embedded default, a file is made beside the database on the
/// first start.
async fn open_or_make_vault(settings: &Settings, store: &Store) -> anyhow::Result<EnvelopeVault> {
    if let Ok(KeySource::FileMadeOnFirstStart(path)) = settings.certificate_store.key_source()
        && !path.exists()
    {
        // A new key would open none of them, and a backup with the old one might still be found.
        if !rotation::is_empty(store).await? {
            anyhow::bail!(
                "the key-encryption key {} is missing, and the database holds private keys that \
                 only it opens: put it back from the backup, beside the database",
                path.display()
            );
        }
        create_key_file(&path)?;
        tracing::warn!(path = %path.display(), remedy = "back it up with the database", "key_encryption_key.created");
    }
    open_vault(settings)
}

/// The service with all its adapters, on an open store.
pub async fn service(
    settings: &Settings,
    peers: &Peers,
    metrics: &Metrics,
    store: Arc<Store>,
) -> anyhow::Result<Service> {
    store
        .lock()
        .await
        .context("cannot use the CertificateStore")?;
    let section = &settings.lets_encrypt;
    directory::claim(
        store.as_ref(),
        section.directory_url.as_str(),
        section.accept_directory_change,
    )
    .await?;
    let vault: Arc<dyn Vault> = Arc::new(open_or_make_vault(settings, &store).await?);
    let waker = store.wake_channel().map(Waker::shared).unwrap_or_default();
    let limits = Arc::new(settings.lets_encrypt.effective_limits());
    let tokens = LedgerTokens {
        store: Arc::clone(&store) as _,
        clock: Arc::new(SystemClock),
        limits,
        directory_url: settings.lets_encrypt.directory_url.to_string(),
    };
    let ca = AcmeAuthority::paced(
        &acme_settings(settings)?,
        Arc::new(SystemClock),
        Arc::new(tokens),
        Arc::new(metrics.clone()),
    )
    .context("LetsEncrypt:DirectoryUrl cannot be used")?;
    let parts = Parts {
        ca: Arc::new(ca),
        vault,
        waker,
        store,
    };
    assemble(settings, peers, metrics, parts)
}

/// The service for observations alone, beside one that runs: it takes no lock, has no workers, and
/// takes no token for its requests.
pub async fn observer(
    settings: &Settings,
    peers: &Peers,
    store: Arc<Store>,
) -> anyhow::Result<Service> {
    let ca = AcmeAuthority::new(&acme_settings(settings)?, Arc::new(SystemClock))
        .context("LetsEncrypt:DirectoryUrl cannot be used")?;
    if ca.caa_identities().is_empty() {
        // Without them, CAA records are not checked.
        let _ = tokio::time::timeout(DIRECTORY_TIMEOUT, ca.fetch_caa_identities()).await;
    }
    // If the store does not answer, the diagnosis says so.
    let known = tokio::time::timeout(STORE_TIMEOUT, store.edges()).await;
    let known = known.unwrap_or_else(|_| Ok(vec![]))?;
    let parts = Parts {
        ca: Arc::new(ca),
        vault: Arc::new(open_vault(settings)?),
        waker: Waker::default(),
        store,
    };
    let service = assemble(settings, peers, &Metrics::new(), parts)?;
    let since = service.now() - LISTED_WITHIN;
    if let Err(error) = service.fleet.find(&known, since).await {
        eprintln!("warning: {error}");
    }
    Ok(service)
}

/// The parts that differ between a service that works and one that observes.
struct Parts {
    store: Arc<Store>,
    ca: Arc<AcmeAuthority>,
    vault: Arc<dyn Vault>,
    waker: Waker,
}

fn assemble(
    settings: &Settings,
    peers: &Peers,
    metrics: &Metrics,
    parts: Parts,
) -> anyhow::Result<Service> {
    let cabinet_settings = CabinetSettings {
        total_timeout: settings.cabinet_api.timeout.get(),
        ..CabinetSettings::default()
    };
    let cabinet = HttpCabinet::new(
        peers.cabinet.clone(),
        peers.cabinet_token.clone().into_inner(),
        cabinet_settings,
    )
    .context("CabinetApi:BaseUrl cannot be used")?;
    Ok(Service {
        store: parts.store,
        ca: parts.ca,
        cabinet: Arc::new(cabinet),
        resolvers: resolvers(settings, metrics.lookups()),
        probe: Arc::new(HyperProbe::new(ProbeSettings {
            port: settings.workers.http_probe.port,
            allow_private: settings.workers.http_probe.allow_private_addresses,
            forbidden_networks: settings.workers.http_probe.networks(),
            total_timeout: settings.workers.http_probe.timeout.get(),
            connect_timeout: settings
                .workers
                .http_probe
                .timeout
                .get()
                .min(Duration::from_secs(5)),
        })),
        fleet: Arc::new(fleet(settings, peers)?),
        pki: Arc::new(X509Pki::new(issuing_roots(settings)?)),
        vault: parts.vault,
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness),
        metrics: Arc::new(metrics.clone()),
        policy: Arc::new(settings.policy()),
        limits: Arc::new(settings.lets_encrypt.effective_limits()),
        waker: parts.waker,
        local_faults: Arc::default(),
        cabinet_health: Arc::default(),
        outages: Arc::default(),
        replica: settings.replica.name(&dps_host::randomness::hex(3)).into(),
    })
}

/// The roots that issued chains must lead to. Staging has none that browsers trust: its chains are
/// verified as far as they go.
fn issuing_roots(settings: &Settings) -> anyhow::Result<TrustedRoots> {
    let section = &settings.lets_encrypt;
    match section.issuing_roots_file() {
        Some(path) => Ok(TrustedRoots::File(path.to_owned())),
        None if section.is_staging() => Ok(TrustedRoots::Fixed(Roots::unknown())),
        None => TrustedRoots::system().context("LetsEncrypt:RootsFile is not set"),
    }
}

/// The client of the CA, as section `LetsEncrypt` says.
pub(crate) fn acme_settings(settings: &Settings) -> anyhow::Result<AcmeSettings> {
    let section = &settings.lets_encrypt;
    let root_certificates_pem = match &section.ca_certificate_file {
        Some(path) => Some(std::fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read LetsEncrypt:CaCertificateFile {}",
                path.display()
            )
        })?),
        None => None,
    };
    let mut acme = AcmeSettings {
        root_certificates_pem,
        allowed_hosts: section.allowed_hosts.clone(),
        caa_identities: section.caa_identities(),
        terms_of_service_agreed: section.terms_of_service_agreed,
        ..AcmeSettings::new(section.directory_url.clone())
    };
    if let Some(user_agent) = &section.user_agent {
        acme.user_agent.clone_from(user_agent);
    }
    Ok(acme)
}

/// How every resolver is queried, for customers' names and for edges.
fn dns_settings(settings: &Settings) -> DnsSettings {
    let query_timeout = settings.dns.timeout.get();
    DnsSettings {
        query_timeout,
        total_timeout: query_timeout * 3,
        randomize_case: settings.dns.randomize_case,
        ..DnsSettings::default()
    }
}

/// DNS observations that fit into the time of one check. Two are of CAA records, one is of the
/// name, one of its TXT records, and one at the authoritative servers.
const OBSERVATIONS_PER_CHECK: u32 = 5;

fn resolvers(settings: &Settings, metrics: &LookupMetrics) -> Arc<Resolvers> {
    let dns = dns_settings(settings);
    let resolver = |address| {
        let resolver: Arc<dyn DnsResolver> = Arc::new(HickoryResolver::new(address, dns));
        Arc::new(Timed::new(resolver, metrics.clone())) as Arc<dyn DnsResolver>
    };
    let addresses = || settings.dns.resolvers.iter().map(|address| address.0);
    let probe = &settings.workers.http_probe;
    let authoritative = settings.dns.query_authoritative.then(|| {
        let servers = AuthoritativeSettings {
            port: settings.dns.authoritative_port,
            allow_private: probe.allow_private_addresses,
            forbidden_networks: probe.networks(),
        };
        let servers: Arc<dyn AuthoritativeDns> =
            Arc::new(AuthoritativeServers::new(addresses(), dns, servers));
        Arc::new(Timed::new(servers, metrics.clone())) as Arc<dyn AuthoritativeDns>
    });
    let resolvers = Resolvers::new(addresses().map(resolver).collect());
    let budget = dns.total_timeout * OBSERVATIONS_PER_CHECK;
    Arc::new(resolvers.with_authoritative(authoritative, budget))
}

fn fleet(settings: &Settings, peers: &Peers) -> anyhow::Result<Fleet> {
    let edges = peers.agents.iter().map(|url| {
        let token = peers.agent_tokens.of_configured(url);
        let edge = edge(settings, peers, url.clone(), token);
        edge.with_context(|| format!("HAProxyAgent:BaseUrl {url} cannot be used"))
    });
    let edges: Vec<Arc<dyn Edge>> = edges.collect::<Result<_, _>>()?;
    let Some(directory) = peers.directory.clone() else {
        return Ok(Fleet::fixed(edges));
    };
    let dns = dns_settings(settings);
    let (settings, peers) = (settings.clone(), peers.clone());
    let connect = move |url: Url| {
        let token = peers.agent_tokens.of_found(&url);
        edge(&settings, &peers, url, token).map_err(|error| format!("{error:#}"))
    };
    let directory = DnsDirectory::new(directory, dns, Box::new(connect))
        .context("HAProxyAgent:Discovery cannot be used")?;
    Ok(Fleet::new(
        edges,
        Some(Arc::new(directory) as Arc<dyn EdgeDirectory>),
    ))
}

/// The edge of the agent at `url`, which is shown `token`.
fn edge(
    settings: &Settings,
    peers: &Peers,
    url: Url,
    token: Option<Secret>,
) -> anyhow::Result<Arc<dyn Edge>> {
    let options = ClientOptions {
        total_timeout: settings.haproxy_agent.timeout.get(),
        ..ClientOptions::default()
    };
    let access = Access {
        token: token.map(Secret::into_inner),
        tls: peers
            .agent_tls
            .as_ref()
            .map(ClientTls::config)
            .transpose()?,
    };
    Ok(Arc::new(AgentEdge::new(AgentClient::new(
        url, access, options,
    )?)))
}
