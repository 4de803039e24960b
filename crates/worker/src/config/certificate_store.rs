//! Section `CertificateStore`: the database, and the keys that encrypt private keys.

use std::path::{Path, PathBuf};

use dps_database::{ConnectionString, Target};
use dps_domain::retention::Retention;
use dps_domain::with_causes;
use dps_host::{HumanDuration, Secret};
use dps_infrastructure::secrets::{KeyRing, KeyRingError};
use dps_store::StoreOptions;
use serde::{Deserialize, Serialize};

use super::report::Report;

const DAY: u64 = 24 * 3600;

/// The database of records, orders, certificates and keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CertificateStore {
    /// Connection string: `sqlite://…`, `postgres://…` or `Host=…;Database=…`.
    pub connection_string: ConnectionString,
    /// Allows a PostgreSQL server on another machine whose certificate is not verified.
    pub allow_unverified_tls: bool,
    /// Key-encryption keys as `<id>:<base64 of 32 bytes>`, separated by commas, the current one
    /// first. Without this and `encryption_key_file`, SQLite uses `dps.kek` beside the database.
    pub encryption_key: Option<Secret>,
    /// File of such lines, readable only by its owner.
    pub encryption_key_file: Option<PathBuf>,
    /// Largest number of connections to PostgreSQL, 1 to 1,000.
    pub max_connections: u32,
    /// History lines kept for each domain, 10 to 10,000; the oldest are deleted.
    pub events_per_domain: u32,
    /// Time for which history lines are kept, 1 h to 10 years.
    pub events_max_age: HumanDuration,
    /// Time for which an order is kept after its end, 1 d to 10 years.
    pub orders_max_age: HumanDuration,
    /// Time for which the key of a superseded certificate is kept, 1 h to 1 year. A certificate
    /// that ends sooner keeps it until then.
    pub rollback_for: HumanDuration,
}

/// Source of the key-encryption keys.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The value in the settings.
    Value(Secret),
    /// A file that must exist.
    File(PathBuf),
    /// A file that the first start creates with a new key.
    FileMadeOnFirstStart(PathBuf),
}

impl KeySource {
    /// Reads the keys.
    ///
    /// # Errors
    /// No key is usable.
    pub fn read(self) -> Result<KeyRing, KeyRingError> {
        match self {
            Self::Value(text) => KeyRing::parse(&text.into_inner()),
            Self::File(path) | Self::FileMadeOnFirstStart(path) => KeyRing::from_files(&[path]),
        }
    }

    /// Returns the key of the setting that names the source.
    const fn key(&self) -> &'static str {
        match self {
            Self::Value(_) | Self::FileMadeOnFirstStart(_) => "CertificateStore:EncryptionKey",
            Self::File(_) => "CertificateStore:EncryptionKeyFile",
        }
    }
}

impl Default for CertificateStore {
    fn default() -> Self {
        let retention = Retention::default();
        Self {
            connection_string: ConnectionString::from("sqlite://dps.db"),
            allow_unverified_tls: false,
            encryption_key: None,
            encryption_key_file: None,
            max_connections: StoreOptions::MAX_CONNECTIONS,
            events_per_domain: StoreOptions::EVENTS_PER_DOMAIN,
            events_max_age: retention.history.into(),
            orders_max_age: retention.orders.into(),
            rollback_for: retention.rollback.into(),
        }
    }
}

impl CertificateStore {
    /// Returns the database of the connection string, if its settings are safe.
    ///
    /// # Errors
    /// The problem with `CertificateStore:ConnectionString`, without any password.
    pub fn database(&self) -> Result<Target, String> {
        let target = self
            .connection_string
            .target()
            .map_err(|error| format!("cannot be used: {error}"))?;
        if !self.allow_unverified_tls {
            target
                .require_verified_tls("CertificateStore:AllowUnverifiedTls")
                .map_err(|error| error.to_string())?;
        }
        Ok(target)
    }

    /// Returns the source of the key-encryption keys: the value, the file, or for a SQLite file
    /// without either, `dps.kek` beside it.
    ///
    /// # Errors
    /// The problem with `CertificateStore:EncryptionKey`, if there is no source or are two.
    pub fn key_source(&self) -> Result<KeySource, &'static str> {
        match (&self.encryption_key, &self.encryption_key_file) {
            (Some(_), Some(_)) => {
                Err("is set together with CertificateStore:EncryptionKeyFile; set only one of them")
            }
            (Some(value), None) => Ok(KeySource::Value(value.clone())),
            (None, Some(path)) => Ok(KeySource::File(path.clone())),
            (None, None) => match self.connection_string.target() {
                Ok(Target::File { path, .. }) => {
                    let beside = path.parent().unwrap_or(Path::new(""));
                    Ok(KeySource::FileMadeOnFirstStart(beside.join("dps.kek")))
                }
                _ => Err(
                    "is missing (a key is created automatically only beside a SQLite file); set \
                     CertificateStore:EncryptionKeyFile, the same for every replica, to a file with \
                     the line `<id>:<base64 of 32 random bytes>`, as made by: echo \
                     \"key-1:$(openssl rand -base64 32)\"",
                ),
            },
        }
    }

    fn check_keys(&self, report: &mut Report) {
        let source = match self.key_source() {
            Ok(KeySource::FileMadeOnFirstStart(path)) if !path.exists() => return,
            Ok(source) => source,
            Err(what) => return report.error("CertificateStore:EncryptionKey", what),
        };
        let key = source.key();
        if let Err(error) = source.read() {
            report.error(key, with_causes(&error));
        }
    }

    pub(super) fn check(&self, report: &mut Report) {
        if let Err(what) = self.database() {
            report.error("CertificateStore:ConnectionString", what);
        } else {
            self.check_keys(report);
        }
        report.count(
            "CertificateStore:MaxConnections",
            self.max_connections,
            1..=1000,
        );
        report.count(
            "CertificateStore:EventsPerDomain",
            self.events_per_domain,
            10..=10_000,
        );
        let bounds = HumanDuration::from_secs(3600)..=HumanDuration::from_secs(3650 * DAY);
        report.duration("CertificateStore:EventsMaxAge", self.events_max_age, bounds);
        let bounds = HumanDuration::from_secs(DAY)..=HumanDuration::from_secs(3650 * DAY);
        report.duration("CertificateStore:OrdersMaxAge", self.orders_max_age, bounds);
        let bounds = HumanDuration::from_secs(3600)..=HumanDuration::from_secs(365 * DAY);
        report.duration("CertificateStore:RollbackFor", self.rollback_for, bounds);
    }

    /// Returns the times for which rows are kept that no step needs.
    pub fn retention(&self) -> Retention {
        Retention {
            history: self.events_max_age.get(),
            orders: self.orders_max_age.get(),
            rollback: self.rollback_for.get(),
        }
    }
}
