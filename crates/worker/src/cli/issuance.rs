//! `dps issuance`: the pauses of issuance, for people and programs.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_domain::Hostname;
use dps_domain::pause::PauseScope;
use serde_json::json;

use super::act::{self, Why};
use super::calls::AdminCalls;
use super::output::outln;

/// `dps issuance …`.
#[derive(Debug, Clone, Subcommand)]
pub enum Issuance {
    /// Show the pauses in force, and the domains whose orders wait for their end
    Status {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Stop placing orders, for first certificates and for renewals, urgent ones included
    ///
    /// Certificates that are served stay. Orders already placed at the CA continue. The alert
    /// `DpsPausedRenewalsExpire` fires when a fifth of the lifetime of a paused certificate is
    /// left.
    Pause {
        /// The domains
        #[command(flatten)]
        scope: ScopeArgs,
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// End a pause, and make the orders due that wait for it
    Resume {
        /// The domains, as the pause names them
        #[command(flatten)]
        scope: ScopeArgs,
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// The domains of a pause.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct ScopeArgs {
    /// Every domain
    #[arg(long)]
    all: bool,
    /// The domains of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The domains of this hostname
    #[arg(long, value_name = "HOST")]
    domain: Option<String>,
}

impl ScopeArgs {
    fn scope(self) -> anyhow::Result<PauseScope> {
        match (self.tenant, self.domain) {
            (Some(tenant), _) => Ok(PauseScope::Tenant(tenant)),
            (None, Some(host)) => Hostname::parse(&host)
                .map(PauseScope::Domain)
                .with_context(|| format!("{host:?} is not a hostname")),
            (None, None) => Ok(PauseScope::All),
        }
    }
}

/// Runs a command.
pub async fn run(calls: &dyn AdminCalls, command: Issuance) -> anyhow::Result<()> {
    match command {
        Issuance::Status { json } => print(calls, json).await,
        Issuance::Pause { scope, why, json } => {
            let scope = scope.scope()?;
            let status = calls.pause(&scope, why.reason.as_deref()).await?;
            if json {
                outln!("{:#}", json!(status))?;
                return Ok(());
            }
            outln!("No new orders for {}.", in_words(&scope, "every domain"))?;
            outln!(
                "`dps issuance resume` ends the pause, `dps issuance status` shows what waits."
            )?;
            Ok(())
        }
        Issuance::Resume { scope, why, json } => {
            let scope = scope.scope()?;
            let done = calls.resume(&scope, why.reason.as_deref()).await?;
            if json {
                outln!("{:#}", json!(done))?;
                return Ok(());
            }
            let woken = done.woken;
            outln!(
                "The pause of {} has ended. {woken} orders are due, unless another pause covers \
                 them.",
                in_words(&scope, "everything")
            )?;
            Ok(act::print_if_cut_short(done.is_complete)?)
        }
    }
}

fn in_words(scope: &PauseScope, all: &str) -> String {
    match scope {
        PauseScope::All => all.to_owned(),
        PauseScope::Tenant(tenant) => format!("tenant {tenant}"),
        PauseScope::Domain(hostname) => hostname.to_string(),
    }
}

async fn print(calls: &dyn AdminCalls, as_json: bool) -> anyhow::Result<()> {
    let status = calls.issuance().await?;
    if as_json {
        outln!("{:#}", json!(status))?;
        return Ok(());
    }
    if status.pauses.is_empty() {
        outln!("Nothing is paused.")?;
    } else {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header(["paused", "since", "by", "reason"]);
        for pause in status.pauses {
            table.add_row([
                pause.subject.unwrap_or_else(|| "everything".to_owned()),
                pause.since.to_string(),
                pause.who,
                pause.reason.unwrap_or_default(),
            ]);
        }
        outln!("{table}")?;
    }
    let (first, renewals, urgent) = (status.first, status.renewals, status.urgent);
    outln!("{first} first orders and {renewals} renewals wait; {urgent} renewals are urgent.")?;
    if status.ended > 0 {
        outln!("{} domains wait whose certificate has ended.", status.ended)?;
    }
    if let Some(end) = status.soonest_end {
        outln!("The first certificate of these ends at {end}.")?;
    }
    Ok(())
}
