//! `dps pki …`: the certificates for mutual TLS between services and agents.
//!
//! A folder holds the private authority and, for each machine, a folder of its own with the three
//! files that the machine needs. `init` never overwrites an existing file, so it can be called
//! again to add an edge. Keys are readable by their owner alone.

mod folder;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use dps_domain::Timestamp;
use dps_x509::{PeerName, PeerRole, PrivateAuthority};
use serde_json::json;

use super::output::outln;
use folder::Folder;

/// Clocks of two machines may differ by so much.
const BACKDATED: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Ten years: replacing an authority is work on every machine.
const AUTHORITY_DAYS: u32 = 3650;

/// `dps pki …`.
#[derive(Debug, Subcommand)]
pub enum Pki {
    /// Create a private authority and certificates for services and edges
    ///
    /// DIR receives ca.pem and ca.key, and one folder for each machine. Existing files are never
    /// overwritten; run the command again with the same DIR to add edges.
    #[command(after_long_help = WHAT_TO_COPY)]
    Init(Init),
    /// Replace the certificates and keys of all machines, or of the named ones
    #[command(after_long_help = WHAT_TO_COPY)]
    Renew(Renew),
}

const WHAT_TO_COPY: &str = "\
What to copy where:
  DIR/service-NAME/  to the machine that runs dps run. Readable by its user only.
                     HAProxyAgent:BaseUrls            https://HOST:9403 for each edge
                     HAProxyAgent:Tls:CertificateFile …/certificate.pem
                     HAProxyAgent:Tls:KeyFile         …/key.pem
                     HAProxyAgent:Tls:CaFile          …/ca.pem
  DIR/edge-NAME/     to the machine of that HAProxy. Readable by the agent's user only.
                     Agent:Tls:CertificateFile        …/certificate.pem
                     Agent:Tls:KeyFile                …/key.pem
                     Agent:Tls:ClientCaFile           …/ca.pem
  DIR/ca.key         nowhere. Keep DIR away from the edges, best offline: this key gives control
                     of every agent.

HAProxy's configuration does not change: challenges are answered at Agent:Listen, 127.0.0.1:9402.
Copied files take effect within seconds, without a restart. /health and /metrics of both sides show
when a certificate expires.";

/// `dps pki init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder; created if it does not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A service (dps run); repeat it for a certificate each, or use one for all replicas
    #[arg(long = "service", value_name = "NAME")]
    pub services: Vec<PeerName>,
    /// An edge, with the hosts and addresses at which the service calls its agent; default: NAME
    #[arg(long = "edge", value_name = "NAME[=HOST,IP…]")]
    pub edges: Vec<EdgeName>,
    /// Lifetime of the machines' certificates
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=825))]
    pub days: u32,
    /// Print JSON, a certificate on each line, instead of text
    #[arg(long)]
    pub json: bool,
}

/// `dps pki renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// The folder that `dps pki init` created
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Folders in DIR, such as edge-berlin; all of them if absent
    #[arg(value_name = "MACHINE")]
    pub machines: Vec<String>,
    /// Lifetime of the new certificates
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=825))]
    pub days: u32,
    /// Print JSON, a certificate on each line, instead of text
    #[arg(long)]
    pub json: bool,
}

/// An edge on the command line.
#[derive(Debug, Clone)]
pub struct EdgeName {
    name: PeerName,
    called: Vec<PeerName>,
}

impl FromStr for EdgeName {
    type Err = dps_x509::PeerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, called) = text.split_once('=').unwrap_or((text, ""));
        let name: PeerName = name.parse()?;
        let mut called = if called.is_empty() {
            vec![name.clone()]
        } else {
            called
                .split(',')
                .map(str::parse)
                .collect::<Result<Vec<_>, _>>()?
        };
        let mut seen = Vec::new();
        called.retain(|one| {
            !seen.contains(one) && {
                seen.push(one.clone());
                true
            }
        });
        Ok(Self { name, called })
    }
}

/// Runs the command, and prints what there is now.
///
/// # Errors
/// A fault of the folder, or a file that already exists.
pub fn execute(command: Pki, now: Timestamp) -> anyhow::Result<()> {
    match command {
        Pki::Init(init) => {
            make(&init, now)?;
            list(&init.out, init.json)
        }
        Pki::Renew(options) => {
            renew(&options, now)?;
            list(&options.out, options.json)
        }
    }
}

fn make(init: &Init, now: Timestamp) -> anyhow::Result<()> {
    let mut wanted: Vec<(String, PeerRole, Vec<PeerName>)> = Vec::new();
    for service in &init.services {
        wanted.push((
            folder_name("service", service),
            PeerRole::Client,
            vec![service.clone()],
        ));
    }
    for edge in &init.edges {
        wanted.push((
            folder_name("edge", &edge.name),
            PeerRole::Server,
            edge.called.clone(),
        ));
    }
    ensure!(
        !wanted.is_empty(),
        "nothing to create; name a machine with --service NAME or --edge NAME[=HOST,IP…]"
    );
    for (index, (name, ..)) in wanted.iter().enumerate() {
        ensure!(
            wanted[..index].iter().all(|(other, ..)| other != name),
            "{name} is given twice"
        );
    }
    let folder = Folder::make(&init.out)?;
    let authority = match folder.authority()? {
        Some(authority) => authority,
        None => {
            let name = format!("dps private authority {}", dps_host::randomness::hex(4));
            let end = now + DAY * AUTHORITY_DAYS;
            let authority = PrivateAuthority::create(&name, before(now), end)?;
            folder.keep_authority(&authority)?;
            authority
        }
    };
    ensure!(
        now < authority.expires_at(),
        "the authority in {} has expired; start again in a new folder",
        init.out.display()
    );
    let mut kept = Vec::new();
    for (name, role, names) in wanted {
        if let Some(held) = folder.names(&name)? {
            if held != names {
                let held: Vec<_> = held.iter().map(ToString::to_string).collect();
                bail!(
                    "{name} already exists, for {}; to change this, first move {} away",
                    held.join(", "),
                    init.out.join(&name).display()
                );
            }
            kept.push(name);
            continue;
        }
        let (chain, key) = authority.issue(role, &names, (before(now), now + DAY * init.days))?;
        folder.add(&name, &authority, &chain, &key)?;
    }
    for name in kept {
        outln!("{name} already exists and was not changed.")?;
    }
    Ok(())
}

fn renew(options: &Renew, now: Timestamp) -> anyhow::Result<()> {
    let folder = Folder::open(&options.out)?;
    let authority = folder.authority()?.with_context(|| {
        format!(
            "{} holds no authority; create one with dps pki init",
            options.out.display()
        )
    })?;
    let machines = if options.machines.is_empty() {
        folder.machines()?
    } else {
        options.machines.clone()
    };
    for machine in machines {
        let role = role_of(&machine).with_context(|| {
            format!("{machine} is not a machine's folder; name service-NAME or edge-NAME")
        })?;
        let names = folder
            .names(&machine)?
            .with_context(|| format!("{machine} does not exist in {}", options.out.display()))?;
        let (chain, key) =
            authority.issue(role, &names, (before(now), now + DAY * options.days))?;
        folder.replace(&machine, &chain, &key)?;
    }
    Ok(())
}

/// Prints all certificates with their ends of validity.
fn list(out: &Path, as_json: bool) -> anyhow::Result<()> {
    let folder = Folder::open(out)?;
    if as_json {
        return list_as_json(out, &folder);
    }
    if let Some(authority) = folder.authority()? {
        outln!(
            "{}  valid until {}",
            out.join("ca.pem").display(),
            authority.expires_at()
        )?;
    }
    for machine in folder.machines()? {
        let names = folder.names(&machine)?.unwrap_or_default();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        outln!(
            "{}  for {}  valid until {}",
            out.join(&machine).display(),
            names.join(", "),
            folder.not_after(&machine)?
        )?;
    }
    outln!("`dps pki init --help` explains what to copy where.")?;
    Ok(())
}

fn list_as_json(out: &Path, folder: &Folder) -> anyhow::Result<()> {
    if let Some(authority) = folder.authority()? {
        let end = authority.expires_at();
        outln!(
            "{}",
            json!({ "path": out.join("ca.pem"), "names": [], "notAfter": end })
        )?;
    }
    for machine in folder.machines()? {
        let names = folder.names(&machine)?.unwrap_or_default();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let end = folder.not_after(&machine)?;
        outln!(
            "{}",
            json!({ "path": out.join(&machine), "names": names, "notAfter": end })
        )?;
    }
    Ok(())
}

fn before(now: Timestamp) -> Timestamp {
    now - BACKDATED
}

fn folder_name(kind: &str, name: &PeerName) -> String {
    // An IPv6 address has colons, which some tools that copy files take for a host.
    format!("{kind}-{}", name.to_string().replace(':', "-"))
}

fn role_of(machine: &str) -> Option<PeerRole> {
    match machine.split_once('-')?.0 {
        "service" => Some(PeerRole::Client),
        "edge" => Some(PeerRole::Server),
        _ => None,
    }
}
