//! The configuration of `dps`: one struct per section of `appsettings.json`.
//!
//! `dps-host` reads the files and variables, and refuses unknown keys and values of the wrong form.
//! This module checks ranges, required settings and combinations, for the role that starts. A
//! [`Report`] collects all findings, each with its key and the remedy.

mod admin;
mod cabinet_api;
mod certificate_store;
mod data_folder;
mod discovery;
mod dns;
mod haproxy_agent;
mod http;
mod lets_encrypt;
mod limits;
mod logging;
mod open_telemetry;
mod replica;
mod report;
mod url_rules;
mod webhooks;
mod workers;

use std::path::{Path, PathBuf};

use dps_application::Policy;
use dps_database::{ConnectionString, Target};
use dps_domain::name_rules::is_unique_template;
use dps_domain::ownership::{OwnershipPolicy, RequireProof};
use dps_domain::webhook::WebhookReceiver;
use dps_domain::{NameRules, NameSuffix, with_causes};
use dps_host::Secret;
use dps_host::settings::{ListOf, Loaded, Loader, SettingsError};
use serde::{Deserialize, Serialize};

pub use admin::{Admin, AdminRole, AdminToken};
pub use cabinet_api::CabinetApi;
pub use certificate_store::{CertificateStore, KeySource};
pub use data_folder::DataFolder;
pub use discovery::Discovery;
pub use dns::{Dns, ResolverAddress};
pub use haproxy_agent::{AgentTokens, HAProxyAgent};
pub use http::Http;
pub use lets_encrypt::LetsEncrypt;
pub use limits::Limits;
pub use logging::Logging;
pub use open_telemetry::OpenTelemetry;
pub use replica::Replica;
pub use report::{Finding, Report};
pub use webhooks::Webhook;
pub use workers::{
    AcmeIssuance, DomainVerification, EdgeAddress, EdgeReconcile, HttpProbe, Intake, Recheck,
    Removal, Renewal, Shares, Workers,
};

/// The lists of sections.
const LISTS: &[ListOf] = &[
    ("Admin:Tokens", &["Name", "Role", "TokenFile"]),
    ("HAProxyAgent:Agents", &["BaseUrl", "Token", "TokenFile"]),
    ("Workers:Renewal:Freeze", &["From", "Until", "Reason"]),
    (
        "Webhooks",
        &[
            "Url",
            "SecretFile",
            "Events",
            "Tenants",
            "AllowUnencrypted",
            "AllowPrivateAddresses",
        ],
    ),
];

/// All sections of `appsettings.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Settings {
    /// Section `Admin`: the admin API.
    pub admin: Admin,
    /// Section `Agent`: the agent beside this machine's HAProxy.
    pub agent: haproxy_domain_agent::Settings,
    /// Section `Cabinet`: the reference Cabinet.
    pub cabinet: dps_cabinet::Settings,
    /// Section `CabinetApi`: the Cabinet that the service calls.
    pub cabinet_api: CabinetApi,
    /// Section `HAProxyAgent`: the agents of the edges.
    #[serde(rename = "HAProxyAgent")]
    pub haproxy_agent: HAProxyAgent,
    /// Section `CertificateStore`: the database, and the keys that encrypt private keys.
    pub certificate_store: CertificateStore,
    /// Section `LetsEncrypt`: the CA.
    pub lets_encrypt: LetsEncrypt,
    /// Section `Dns`: the resolvers.
    pub dns: Dns,
    /// Section `Workers`: intervals and concurrency.
    pub workers: Workers,
    /// List `Webhooks`: the receivers of events.
    pub webhooks: Vec<Webhook>,
    /// Section `Replica`: the name of this process.
    pub replica: Replica,
    /// Section `Http`: the address for health and metrics.
    pub http: Http,
    /// Section `Logging`.
    pub logging: Logging,
    /// Section `OpenTelemetry`: the collector of spans.
    pub open_telemetry: OpenTelemetry,
    /// Folder in which relative paths of data begin; not a setting.
    #[serde(skip)]
    pub data: DataFolder,
}

/// The role of a process, which needs only some of the sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Role {
    /// `dps run`: the service.
    #[default]
    Run,
    /// `dps agent`: the sidecar of one HAProxy.
    Agent,
    /// `dps cabinet`: the reference Cabinet.
    Cabinet,
    /// `dps standalone`: all three in one process.
    Standalone,
}

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// All problems of all files and variables.
    pub fn load(config: Option<&Path>) -> Result<Loaded<Self>, SettingsError> {
        let mut loaded: Loaded<Self> = Loader::from_process(config).lists(LISTS).load()?;
        let working_directory = std::env::current_dir().unwrap_or_default();
        loaded
            .settings
            .keep_data_in(DataFolder::of(config, &working_directory));
        Ok(loaded)
    }

    /// Reads the settings of the file `new` as if it were at the place of `config`.
    ///
    /// # Errors
    /// All problems of all files and variables.
    pub fn load_in_place_of(config: Option<&Path>, new: &Path) -> Result<Self, SettingsError> {
        let mut loaded: Loaded<Self> = Loader::from_process(Some(new)).lists(LISTS).load()?;
        let working_directory = std::env::current_dir().unwrap_or_default();
        let folder = DataFolder::of(config, &working_directory);
        loaded.settings.keep_data_in(folder);
        Ok(loaded.settings)
    }

    /// Resolves relative paths of databases and key files.
    fn keep_data_in(&mut self, mut data: DataFolder) {
        let store = &mut self.certificate_store;
        for (key, connection) in [
            (
                "CertificateStore:ConnectionString",
                &mut store.connection_string,
            ),
            (
                "Cabinet:ConnectionString",
                &mut self.cabinet.connection_string,
            ),
        ] {
            if let Some(path) = sqlite_file(connection) {
                data.note_misplaced(key, &path);
            }
            *connection = connection.in_folder(&data.path);
        }
        if let Some(path) = &mut store.encryption_key_file {
            data.note_misplaced("CertificateStore:EncryptionKeyFile", path);
            *path = data.resolve(path);
        }
        self.data = data;
    }

    /// Reads the section `Http` even if other sections have faults. If the files cannot be read, it
    /// uses the environment alone.
    ///
    /// # Errors
    /// The problems of section `Http`.
    pub fn load_http(config: Option<&Path>) -> Result<Http, SettingsError> {
        #[derive(Default, Serialize, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Only {
            http: Http,
        }
        let read = |loader: Loader| loader.ignoring_other_sections().load::<Only>();
        let loaded =
            read(Loader::from_process(config)).or_else(|_| read(Loader::from_variables()))?;
        Ok(loaded.settings.http)
    }

    /// Returns the settings as the application's policy.
    pub fn policy(&self) -> Policy {
        let defaults = self.workers.policy(&self.haproxy_agent);
        Policy {
            names: self.names(),
            ownership: self.ownership(),
            retention: self.certificate_store.retention(),
            ..defaults
        }
    }

    /// Returns the receivers of events, as the store knows them.
    pub fn webhook_receivers(&self) -> Vec<WebhookReceiver> {
        self.webhooks.iter().filter_map(Webhook::receiver).collect()
    }

    /// Returns the rules for proofs of ownership.
    fn ownership(&self) -> OwnershipPolicy {
        let section = &self.workers.domain_verification;
        let mut unique_targets = section.unique_targets.clone();
        if unique_targets.is_empty() {
            let template = self.cabinet.cname_target.as_deref();
            let template = template.filter(|template| is_unique_template(template));
            let suffix = template.and_then(|template| NameSuffix::of_template(template).ok());
            unique_targets.extend(suffix);
        }
        OwnershipPolicy {
            require: section.require_proof,
            reprove_after: section.reprove_after.get(),
            unique_targets,
        }
    }

    /// Returns the rules for accepted hostnames and CNAME targets. The platform's own names are
    /// those in the registered domains of its targets and of its edges' names.
    fn names(&self) -> NameRules {
        let section = &self.workers.domain_verification;
        let mut targets = section.allowed_targets.clone();
        if targets.is_empty() {
            let template = self.cabinet.cname_target.as_deref();
            targets.extend(template.and_then(|template| NameSuffix::of_template(template).ok()));
        }
        let edges = self.haproxy_agent.edge_names().into_iter();
        let own: Vec<NameSuffix> = edges
            .filter_map(|name| NameSuffix::parse(name).ok())
            .collect();
        let blocked = section.blocked_names.clone();
        NameRules::new(blocked, targets, &own, section.allow_platform_names)
    }

    /// The errors that keep this role from starting, and the warnings. Reads secret files.
    pub fn check(&self, role: Role) -> Report {
        let mut report = Report::default();
        self.logging.check(&mut report);
        if matches!(role, Role::Run | Role::Standalone) {
            report
                .errors
                .extend(self.data.misplaced("CertificateStore").cloned());
            self.certificate_store.check(&mut report);
            self.lets_encrypt.check(&mut report);
            self.dns.check(&mut report);
            self.workers.check(&mut report);
            self.replica.check(&mut report);
            self.admin.check(&mut report);
            webhooks::check(&self.webhooks, &mut report);
            self.open_telemetry.check(&mut report);
        }
        if matches!(role, Role::Cabinet | Role::Standalone) {
            report
                .errors
                .extend(self.data.misplaced("Cabinet").cloned());
        }
        match role {
            Role::Run => {
                if let Err(error) = self.cabinet.own_targets() {
                    report.error("Cabinet", with_causes(&error));
                }
                self.cabinet_api.check(&mut report);
                self.haproxy_agent.check(&mut report);
                self.check_targets(&mut report);
            }
            Role::Agent => check_agent(&mut report, &self.agent),
            Role::Cabinet => {
                check_cabinet(&mut report, &self.cabinet);
                self.check_shared_target(&mut report);
            }
            Role::Standalone => {
                let (agent, cabinet) = self.with_tokens();
                if agent.tls.certificate_file.is_some() {
                    report.error(
                        "Agent:Tls:CertificateFile",
                        "is for an agent on another machine; remove Agent:Tls, since dps standalone calls its agent \
                         over loopback",
                    );
                }
                check_agent(&mut report, &agent);
                check_cabinet(&mut report, &cabinet);
                self.check_shared_target(&mut report);
                self.check_retention(&mut report);
            }
        }
        report
    }

    /// Warns if all domains share one target. Installations that exist keep it: their customers'
    /// records point there.
    fn check_shared_target(&self, report: &mut Report) {
        let target = self.cabinet.cname_target.as_deref();
        let shared = target.filter(|target| !is_unique_template(target));
        let requires = self.workers.domain_verification.require_proof != RequireProof::Never;
        if let Some(shared) = shared.filter(|_| requires) {
            report.warning(
                "Cabinet:CnameTarget",
                format!(
                    "is the target of all domains, so a CNAME record does not show whose the name is, and a \
                     contested name needs a TXT record; on a new platform, set it to \
                     \"{{random}}.{shared}\" and create a wildcard record. Domains that exist keep their \
                     target"
                ),
            );
        }
    }

    /// Warns if the Cabinet forgets a removal while the service still keeps its record. Only a
    /// process with both sections can compare them.
    fn check_retention(&self, report: &mut Report) {
        let (cabinet, service) = (
            self.cabinet.removed_retention,
            self.workers.removal.quarantine,
        );
        if cabinet.get() < service.get() {
            report.warning(
                "Cabinet:RemovedRetention",
                format!(
                    "is {cabinet}, shorter than Workers:Removal:Quarantine ({service}): the Cabinet forgets \
                     removed domains whose records the service still keeps; set it to {service} or \
                     more"
                ),
            );
        }
    }

    /// Requires a limit on CNAME targets, since the service may be connected to any Cabinet.
    fn check_targets(&self, report: &mut Report) {
        if self.names().targets.is_empty() {
            report.error(
                "Workers:DomainVerification:AllowedTargets",
                "is empty, and Cabinet:CnameTarget is not set: anyone who sets a domain's target in the \
                 Cabinet could choose where this machine connects, and get certificates for your own \
                 names. Set it to the names to which customers point, such as \
                 [\"edge.platform.example\"]",
            );
        }
    }

    /// Returns the sections with a stand-in for each token that is not set: a process that has all
    /// roles generates its tokens.
    fn with_tokens(&self) -> (haproxy_domain_agent::Settings, dps_cabinet::Settings) {
        let (mut agent, mut cabinet) = (self.agent.clone(), self.cabinet.clone());
        for (token, file, stand_in) in [
            (&mut agent.token, &agent.token_file, "drawn-for-the-agent"),
            (
                &mut cabinet.service_token,
                &cabinet.service_token_file,
                "drawn-for-the-service",
            ),
            (
                &mut cabinet.api_token,
                &cabinet.api_token_file,
                "drawn-for-the-platform",
            ),
        ] {
            if file.is_none() {
                token.get_or_insert_with(|| Secret::from(stand_in));
            }
        }
        (agent, cabinet)
    }
}

/// The file of a SQLite database.
fn sqlite_file(connection: &ConnectionString) -> Option<PathBuf> {
    match connection.target() {
        Ok(Target::File { path, .. }) => Some(path),
        Ok(Target::Memory | Target::Postgres(_)) | Err(_) => None,
    }
}

fn check_agent(report: &mut Report, agent: &haproxy_domain_agent::Settings) {
    if let Err(error) = agent.check() {
        report.error("Agent", with_causes(&error));
    }
}

fn check_cabinet(report: &mut Report, cabinet: &dps_cabinet::Settings) {
    for error in cabinet.check() {
        report.error("Cabinet", with_causes(&error));
    }
}

#[cfg(test)]
mod tests;
