//! The section `Cabinet` of the settings.

mod setup_page;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_database::{ConnectionString, ConnectionStringError, Target, UnverifiedTls};
use dps_domain::NameSuffix;
use dps_domain::hostname::HostnameError;
use dps_domain::name_rules::PUBLIC_TARGET;
use dps_host::{HumanDuration, OutOfBounds, Secret, SecretError, TOKEN_RULE};
use serde::{Deserialize, Serialize};

use crate::names::NamePolicy;

pub(crate) use setup_page::CheckedSetupPage;
pub use setup_page::SetupPageSettings;

/// Seconds of a day.
const DAY: u64 = 24 * 3600;
// Readers of the feed must find a removed domain for as long as the service keeps its own record.
// The service keeps it for Workers:Removal:Quarantine, 30 days by default. The quota of creations
// needs one day.
const SHORTEST_RETENTION: HumanDuration = HumanDuration::from_secs(30 * DAY);
const LONGEST_RETENTION: HumanDuration = HumanDuration::from_secs(3650 * DAY);

/// How a Cabinet runs. Every field has a default, but both tokens must be given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct Settings {
    /// Address and port to listen on. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// `sqlite://file`, `postgres://user:password@host/database` or the Npgsql form.
    pub connection_string: ConnectionString,
    /// Whether a database server on another machine may be reached without proof that it is the
    /// right one.
    pub allow_unverified_tls: bool,
    /// Where customers' DNS must point, unless the request names a target. `{random}` or `{id}`
    /// makes it unique per domain; `{random}` cannot be guessed.
    pub cname_target: Option<String>,
    /// Addresses of the edges: what customers enter for names that cannot have a CNAME.
    pub edge_addresses: Vec<IpAddr>,
    /// Names that customers may not have, each with all names below it.
    pub blocked_names: Vec<String>,
    /// Names of the platform's edges. No customer may have names in their registered domains,
    /// unless `allow_platform_names`.
    pub own_names: Vec<String>,
    /// Names under which a target that a request names must lie, besides a `CnameTarget` that all
    /// domains share. Below the suffix of one with a placeholder, no request may name a target.
    pub allowed_targets: Vec<String>,
    /// Whether customers may have names in the registered domains of the targets and of
    /// `own_names`, which are the platform's own.
    pub allow_platform_names: bool,
    /// Whether calls may come without encryption on an address that other machines reach.
    pub allow_unencrypted: bool,
    /// Bearer token of the service, for `/internal/v1`.
    pub service_token: Option<Secret>,
    /// File with the bearer token of the service, instead of `ServiceToken`.
    pub service_token_file: Option<PathBuf>,
    /// Bearer token of the platform's own backend, for `/api/v1`.
    pub api_token: Option<Secret>,
    /// File with the bearer token for `/api/v1`, instead of `ApiToken`.
    pub api_token_file: Option<PathBuf>,
    /// Shortest time between two retries of one domain.
    pub retry_min_interval: HumanDuration,
    /// Whether several tenants may claim one hostname. The service then decides by proof who gets
    /// it.
    pub allow_contested_claims: bool,
    /// How many domains a tenant may hold, removed ones not counted; 0 for any number.
    pub max_domains_per_tenant: u32,
    /// How many domains a tenant may create in 24 hours, with those removed since; 0 for any
    /// number.
    pub max_creations_per_tenant_per_day: u32,
    /// How many retries a tenant may ask for in 24 hours, over all its domains; 0 for any number.
    pub max_retries_per_tenant_per_day: u32,
    /// How long a removed domain stays readable after its last report; from 30 days to 10 years.
    pub removed_retention: HumanDuration,
    /// The page on which a customer reads what to do.
    pub setup_page: SetupPageSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            connection_string: ConnectionString::from("sqlite://cabinet.db"),
            allow_unverified_tls: false,
            cname_target: None,
            edge_addresses: Vec::new(),
            blocked_names: Vec::new(),
            own_names: Vec::new(),
            allowed_targets: Vec::new(),
            allow_platform_names: false,
            allow_unencrypted: false,
            service_token: None,
            service_token_file: None,
            api_token: None,
            api_token_file: None,
            retry_min_interval: HumanDuration::from_secs(30),
            allow_contested_claims: true,
            max_domains_per_tenant: 1_000,
            // A CA accepts some thousand orders a day for the whole platform.
            max_creations_per_tenant_per_day: 200,
            max_retries_per_tenant_per_day: 300,
            removed_retention: HumanDuration::from_secs(90 * DAY),
            setup_page: SetupPageSettings::default(),
        }
    }
}

/// A setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An address that customers cannot enter.
    #[error("Cabinet:EdgeAddresses contains {address}, which {fault}")]
    EdgeAddress {
        /// The given address.
        address: IpAddr,
        /// Its fault.
        fault: &'static str,
    },
    /// The target is no hostname.
    #[error("Cabinet:CnameTarget {value:?} is not a hostname")]
    CnameTarget {
        /// The given value.
        value: String,
        /// Its fault.
        source: HostnameError,
    },
    /// A blocked name is no name.
    #[error(
        "Cabinet:BlockedNames, Cabinet:OwnNames or Cabinet:AllowedTargets contains {0:?}, which is not a name"
    )]
    NoName(String),
    /// A target lies where the public registers names.
    #[error("Cabinet:AllowedTargets or Cabinet:CnameTarget contains {0}, {PUBLIC_TARGET}")]
    PublicTarget(String),
    /// Both sides of the API show the same token.
    #[error(
        "Cabinet:ServiceToken and Cabinet:ApiToken must differ, so that the creator of a domain cannot report \
         its status"
    )]
    SameToken,
    /// Tokens would travel in clear.
    #[error(
        "Cabinet:Listen {0} is reachable from other machines, without encryption; listen on loopback behind \
         a TLS proxy, or set Cabinet:AllowUnencrypted if the network itself encrypts"
    )]
    Unencrypted(SocketAddr),
    /// The connection string cannot be read.
    #[error("Cabinet:ConnectionString is not valid")]
    ConnectionString(#[from] ConnectionStringError),
    /// The database is on another machine, without a proof of its identity.
    #[error("Cabinet:ConnectionString {0}")]
    UnverifiedTls(#[from] UnverifiedTls),
    /// Removed domains would vanish too early or practically never.
    #[error("Cabinet:RemovedRetention {0}")]
    RemovedRetention(#[from] OutOfBounds),
    /// A setting of the setup page cannot be used.
    #[error("Cabinet:SetupPage:{name} {fault}")]
    SetupPage {
        /// The setting.
        name: &'static str,
        /// Its fault, with the remedy.
        fault: &'static str,
    },
    /// Links to the setup page would expire too early or practically never.
    #[error("Cabinet:SetupPage:LinkLifetime {0}")]
    SetupLinkLifetime(OutOfBounds),
    /// A token cannot be read.
    #[error("cannot read Cabinet:{name}")]
    Token {
        /// The setting.
        name: &'static str,
        /// Why.
        source: SecretError,
    },
    /// A token is missing, guessable, or one that no caller can show.
    #[error("set Cabinet:{name} or Cabinet:{name}File; it {TOKEN_RULE}")]
    WeakToken {
        /// The setting.
        name: &'static str,
    },
}

impl Settings {
    /// Everything that keeps a Cabinet from starting with these settings. Reads the tokens' files
    /// and touches nothing else.
    pub fn check(&self) -> Vec<SettingsError> {
        let names = NamePolicy::new(self).err();
        let database = self.database().err();
        let tokens = [
            self.resolved_service_token().err(),
            self.resolved_api_token().err(),
        ];
        let exposure = self.exposure().err();
        let same_token = self.different_tokens().err();
        let targets = self.own_targets().err();
        let retention = self.removed_retention().err();
        let setup_page = self.setup_page.checked().err();
        let findings = names.into_iter().chain(targets).chain(database);
        let findings = findings.chain(exposure).chain(same_token).chain(retention);
        let findings = findings.chain(setup_page);
        findings.chain(tokens.into_iter().flatten()).collect()
    }

    /// Whether tokens may travel as the settings have it.
    pub(crate) fn exposure(&self) -> Result<(), SettingsError> {
        if !self.listen.ip().is_loopback() && !self.allow_unencrypted {
            return Err(SettingsError::Unencrypted(self.listen));
        }
        Ok(())
    }

    /// Whether the two sides of the API have different tokens.
    pub(crate) fn different_tokens(&self) -> Result<(), SettingsError> {
        match (self.resolved_service_token(), self.resolved_api_token()) {
            (Ok(service), Ok(api)) if service.expose() == api.expose() => {
                Err(SettingsError::SameToken)
            }
            _ => Ok(()),
        }
    }

    /// Whether all targets lie below names of the platform's own, as far as they are names.
    ///
    /// # Errors
    /// The target below which the public registers names.
    pub fn own_targets(&self) -> Result<(), SettingsError> {
        let allowed = self
            .allowed_targets
            .iter()
            .map(|name| NameSuffix::parse(name));
        let shared = self
            .cname_target
            .iter()
            .map(|template| NameSuffix::of_template(template));
        match allowed.chain(shared).flatten().find(NameSuffix::is_public) {
            Some(public) => Err(SettingsError::PublicTarget(public.as_str().to_owned())),
            None => Ok(()),
        }
    }

    /// The database, if it may be used as it is set.
    ///
    /// # Errors
    /// The connection string cannot be read, or its server would be reached without proof.
    pub fn database(&self) -> Result<Target, SettingsError> {
        let target = self.connection_string.target()?;
        if !self.allow_unverified_tls {
            target.require_verified_tls("Cabinet:AllowUnverifiedTls")?;
        }
        Ok(target)
    }

    /// How long a removed domain stays readable.
    pub(crate) fn removed_retention(&self) -> Result<Duration, SettingsError> {
        Ok(self
            .removed_retention
            .within(SHORTEST_RETENTION, LONGEST_RETENTION)?)
    }

    /// The bearer token of the service.
    pub(crate) fn resolved_service_token(&self) -> Result<Secret, SettingsError> {
        token(
            "ServiceToken",
            self.service_token.as_ref(),
            self.service_token_file.as_deref(),
        )
    }

    /// The bearer token of the platform's own backend.
    pub(crate) fn resolved_api_token(&self) -> Result<Secret, SettingsError> {
        token(
            "ApiToken",
            self.api_token.as_ref(),
            self.api_token_file.as_deref(),
        )
    }
}

fn token(
    name: &'static str,
    value: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Secret, SettingsError> {
    let secret =
        Secret::resolve(value, file).map_err(|source| SettingsError::Token { name, source })?;
    secret
        .filter(Secret::is_usable_token)
        .ok_or(SettingsError::WeakToken { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_read_by_its_documented_names() {
        let settings: Settings = serde_json::from_str(
            r#"{"Listen": "0.0.0.0:9000", "ConnectionString": "postgres://db/cabinet?sslmode=verify-full", "CnameTarget": "edge.platform.example",
                "EdgeAddresses": ["192.0.2.1"], "BlockedNames": ["platform.example"], "ServiceTokenFile": "/run/s",
                "ApiToken": "0123456789abcdef", "RetryMinInterval": "1m", "AllowContestedClaims": false, "MaxDomainsPerTenant": 5,
                "MaxCreationsPerTenantPerDay": 6, "MaxRetriesPerTenantPerDay": 0, "RemovedRetention": "30d"}"#,
        )
        .unwrap();
        assert_eq!(settings.retry_min_interval, HumanDuration::from_secs(60));
        assert_eq!(
            settings.resolved_api_token().unwrap().expose(),
            "0123456789abcdef"
        );
        assert!(serde_json::from_str::<Settings>(r#"{"Listn": "0.0.0.0:9000"}"#).is_err());
    }

    #[test]
    fn limits_per_tenant_are_set_by_default_and_removed_domains_outlive_the_quarantine() {
        let mut settings = Settings::default();
        assert!(settings.max_domains_per_tenant > 0);
        assert!(settings.max_creations_per_tenant_per_day > 0);
        assert!(settings.max_retries_per_tenant_per_day > 0);
        assert!(settings.removed_retention().is_ok());
        settings.removed_retention = HumanDuration::from_secs(30 * DAY - 1);
        let said: Vec<_> = settings.check().iter().map(ToString::to_string).collect();
        let fault = said
            .iter()
            .find(|text| text.contains("Cabinet:RemovedRetention"));
        assert!(fault.is_some_and(|text| text.contains("30d")), "{said:?}");
    }

    #[test]
    fn a_check_names_everything_that_is_wrong_at_once() {
        let wrong = Settings {
            cname_target: Some("not a name".to_owned()),
            api_token: Some(Secret::from("0123456789abcdef")),
            ..Settings::default()
        };
        let found: Vec<_> = wrong.check().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("CnameTarget") && found[1].contains("ServiceToken"),
            "{found:?}"
        );
    }

    #[test]
    fn a_database_on_another_machine_must_prove_itself_or_be_allowed_not_to() {
        let found = |text: &str, allow_unverified_tls| {
            let settings = Settings {
                connection_string: ConnectionString::from(text),
                allow_unverified_tls,
                ..Settings::default()
            };
            settings
                .database()
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let error = found("Host=db;Username=u;Password=hunter2", false).unwrap_err();
        assert!(
            error.contains("Cabinet:AllowUnverifiedTls") && !error.contains("hunter2"),
            "{error}"
        );
        assert_eq!(found("Host=db;Username=u;Password=hunter2", true), Ok(()));
        assert_eq!(
            found("postgres://u:hunter2@127.0.0.1/cabinet", false),
            Ok(())
        );
        assert_eq!(
            found("postgres://u@db/cabinet?sslmode=verify-full", false),
            Ok(())
        );
    }

    #[test]
    fn tokens_travel_over_loopback_or_by_the_operators_word_and_each_side_has_its_own() {
        let usable = Settings {
            service_token: Some(Secret::from("0123456789abcdef")),
            api_token: Some(Secret::from("fedcba9876543210")),
            ..Settings::default()
        };
        assert!(usable.exposure().is_ok());
        let mut exposed = usable.clone();
        exposed.listen = SocketAddr::from(([0, 0, 0, 0], 8081));
        let said = exposed.exposure().unwrap_err().to_string();
        assert!(said.contains("AllowUnencrypted"), "{said}");
        exposed.allow_unencrypted = true;
        assert!(exposed.exposure().is_ok());
        let same = Settings {
            api_token: usable.service_token.clone(),
            listen: SocketAddr::from(([0, 0, 0, 0], 8081)),
            ..usable
        };
        let said: Vec<_> = same.check().iter().map(ToString::to_string).collect();
        for both in ["AllowUnencrypted", "must differ"] {
            assert!(said.iter().any(|text| text.contains(both)), "{said:?}");
        }
    }

    #[test]
    fn a_target_where_anybody_registers_names_is_refused() {
        let found = |template: Option<&str>, allowed: &[&str]| {
            let settings = Settings {
                cname_target: template.map(str::to_owned),
                allowed_targets: allowed.iter().map(|&name| name.to_owned()).collect(),
                ..Settings::default()
            };
            settings.own_targets().map_err(|error| error.to_string())
        };
        for public in [
            found(Some("{id}.com"), &[]),
            found(Some("{random}.com"), &[]),
            found(None, &["own.example", "*.co.uk"]),
        ] {
            let error = public.unwrap_err();
            assert!(
                error.starts_with("Cabinet:AllowedTargets or Cabinet:CnameTarget contains co"),
                "{error}"
            );
        }
        assert_eq!(
            found(
                Some("{random}.edge.platform.com"),
                &["platform.co.uk", "test"]
            ),
            Ok(())
        );
    }

    #[test]
    fn a_missing_or_short_token_stops_the_start_and_is_not_shown() {
        let missing = Settings::default().resolved_service_token().unwrap_err();
        assert!(missing.to_string().contains("Cabinet:ServiceTokenFile"));
        for unusable in ["hunter2", "hunter2 with spaces in it"] {
            let settings = Settings {
                api_token: Some(Secret::from(unusable)),
                ..Settings::default()
            };
            let error = settings.resolved_api_token().unwrap_err();
            assert!(
                !error.to_string().contains("hunter2")
                    && !format!("{settings:?}").contains("hunter2")
            );
        }
    }
}
