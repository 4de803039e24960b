//! Pebble, Let's Encrypt's test server: a real ACME server (RFC 8555) with real HTTP-01 validation.

mod options;
mod relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tempfile::TempDir;

pub use self::options::PebbleOptions;
use self::relay::Relay;
use crate::process::{Process, ProcessSpec, find_program};
use crate::tls::{LocalAuthority, ServerIdentity, client_config, install_crypto_provider};
use crate::{LabError, free_ports};

/// How long a start may take on a loaded machine; Pebble makes RSA keys.
const START_BOUND: Duration = Duration::from_secs(60);
/// How often other ports are tried when another process took ours.
const PORT_TRIES: usize = 5;
/// How long one management request may take.
const REQUEST_BOUND: Duration = Duration::from_secs(10);

/// A running Pebble. Dropping it stops it; it keeps all state in memory.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    relay: Relay,
    directory: SocketAddr,
    management: SocketAddr,
    ca_pem: String,
    http: reqwest::Client,
    _home: TempDir,
}

impl Pebble {
    /// Starts Pebble on free ports of 127.0.0.1 and waits until it answers.
    ///
    /// # Errors
    /// [`LabError::MissingProgram`] without the Debian package `pebble`, else whatever Pebble said.
    pub async fn start(options: &PebbleOptions) -> Result<Self, LabError> {
        let program = find_program("pebble", "pebble", &[])?;
        let home = tempfile::tempdir().map_err(LabError::io("make a directory for Pebble"))?;
        let authority = LocalAuthority::new()?;
        let identity = authority.certify(&["127.0.0.1", "localhost"])?;
        write(&home, "cert.pem", &identity.certificate_pem)?;
        write(&home, "key.pem", &identity.key_pem())?;
        let spec = ProcessSpec::new("pebble", program, home.path().join("pebble.log"))
            .directory(home.path());
        let spec = options.apply(spec.args(["-config", "config.json"]));
        let ca_pem = authority.root_pem();
        let http = http_client(&ca_pem)?;
        let mut tries = PORT_TRIES;
        let (process, directory, management) = loop {
            tries -= 1;
            match launch(&spec, &home, options).await {
                Ok(started) => break started,
                Err(LabError::Exited { log_tail, .. })
                    if tries > 0 && log_tail.contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        };
        let relay = start_relay(&identity, &ca_pem, directory).await?;
        Ok(Self {
            process,
            relay,
            directory,
            management,
            ca_pem,
            http,
            _home: home,
        })
    }

    /// The ACME directory, to be trusted by [`Self::ca_pem`].
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.relay.address)
    }

    /// The same directory without the relay that counts orders by name, for measurements.
    pub fn direct_directory_url(&self) -> String {
        format!("https://{}/dir", self.directory)
    }

    /// The certificate that signs Pebble's own HTTPS listener: what an ACME client must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The root of the certificates Pebble issues: what visitors of an edge must trust. New at
    /// every start.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when Pebble does not give it.
    pub async fn root_pem(&self) -> Result<String, LabError> {
        self.management_get("/roots/0").await
    }

    /// The intermediate that signs the leaves.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when Pebble does not give it.
    pub async fn intermediate_pem(&self) -> Result<String, LabError> {
        self.management_get("/intermediates/0").await
    }

    /// `Valid` or `Revoked`, for a certificate by its serial number in hexadecimal.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when Pebble does not know it.
    pub async fn certificate_status(&self, serial: &str) -> Result<String, LabError> {
        let text = self
            .management_get(&format!("/cert-status-by-serial/{serial}"))
            .await?;
        let reply: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| LabError::invalid("Pebble's certificate status", error))?;
        Ok(reply["Status"].as_str().unwrap_or_default().to_owned())
    }

    /// How many orders were made that name `host`, finished or not. Refused requests do not count.
    pub fn orders_for(&self, host: &str) -> usize {
        self.relay.orders_for(host)
    }

    /// How many orders were made since the last start, by Pebble's log.
    pub fn orders(&self) -> usize {
        self.log_lines(|line| line.contains("Added order "))
    }

    /// How many certificates were issued, by Pebble's log.
    pub fn certificates(&self) -> usize {
        self.log_lines(|line| line.contains("Issued certificate serial "))
    }

    /// How many challenges of `host` were taken up for validation, by Pebble's log.
    pub fn validations_for(&self, host: &str) -> usize {
        let value = format!("Value:\"{}\"", host.to_ascii_lowercase());
        self.log_lines(|line| {
            line.contains("Pulled a task from the Tasks queue") && line.contains(&value)
        })
    }

    /// Whether every request is answered with 503 from now on.
    pub fn refuse(&self, refuses: bool) {
        self.relay.refuse(refuses);
    }

    /// Everything Pebble has logged.
    pub fn log_text(&self) -> String {
        self.process.log_text()
    }

    /// The process, for drills: kill it, read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts a killed or running Pebble anew on the same ports. Accounts, orders and roots are
    /// forgotten by Pebble; the counting methods continue.
    ///
    /// # Errors
    /// As [`Self::start`], without a second try when a port was taken meanwhile.
    pub async fn restart(&mut self) -> Result<(), LabError> {
        self.process.restart()?;
        wait_until_answering(&mut self.process, self.management).await
    }

    fn log_lines(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.log_text().lines().filter(|line| wanted(line)).count()
    }

    async fn management_get(&self, path: &str) -> Result<String, LabError> {
        let url = format!("https://{}{path}", self.management);
        let invalid = |error: reqwest::Error| LabError::invalid(format!("Pebble's {path}"), error);
        let reply = self.http.get(url).send().await.map_err(invalid)?;
        reply
            .error_for_status()
            .map_err(invalid)?
            .text()
            .await
            .map_err(invalid)
    }
}

async fn launch(
    spec: &ProcessSpec,
    home: &TempDir,
    options: &PebbleOptions,
) -> Result<(Process, SocketAddr, SocketAddr), LabError> {
    let [directory, management] =
        free_ports()?.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    write(home, "config.json", &options.config(directory, management))?;
    let mut process = spec.clone().start()?;
    process.wait_for_port(directory, START_BOUND).await?;
    wait_until_answering(&mut process, management).await?;
    Ok((process, directory, management))
}

async fn wait_until_answering(
    process: &mut Process,
    management: SocketAddr,
) -> Result<(), LabError> {
    process
        .wait_for_log("ACME directory available at", START_BOUND)
        .await?;
    process.wait_for_port(management, START_BOUND).await
}

async fn start_relay(
    identity: &ServerIdentity,
    ca_pem: &str,
    target: SocketAddr,
) -> Result<Relay, LabError> {
    Relay::start(identity, client_config(ca_pem)?, target).await
}

fn http_client(ca_pem: &str) -> Result<reqwest::Client, LabError> {
    install_crypto_provider();
    let invalid = |error: reqwest::Error| LabError::invalid("an HTTP client", error);
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).map_err(invalid)?;
    reqwest::Client::builder()
        .tls_certs_only([ca])
        .timeout(REQUEST_BOUND)
        .no_proxy()
        .build()
        .map_err(invalid)
}

fn write(home: &TempDir, name: &str, text: &str) -> Result<(), LabError> {
    let path = home.path().join(name);
    std::fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))
}
