//! `dps issuance`: the pauses of issuance, for people and programs.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Issuance as Document, Pause as PauseDocument, PauseScopeName};
use dps_application::operator;
use dps_application::operator::pauses::{self, IssuanceStatus};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::pause::{Pause, PauseScope};
use dps_domain::{Hostname, Timestamp};
use serde_json::json;

use super::act::{self, Author, Why};
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
    },
    /// End a pause, and make the orders due that wait for it
    Resume {
        /// The domains, as the pause names them
        #[command(flatten)]
        scope: ScopeArgs,
        /// The reason
        #[command(flatten)]
        why: Why,
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
pub async fn run(
    store: &dyn CertificateStore,
    command: Issuance,
    now: Timestamp,
) -> anyhow::Result<()> {
    match command {
        Issuance::Status { json } => print(store, now, json).await,
        Issuance::Pause { scope, why } => {
            let (scope, author) = (scope.scope()?, Author::of_command(why));
            pauses::pause(store, author.requester(), now, &scope).await?;
            outln!("No new orders for {}.", in_words(&scope, "every domain"))?;
            outln!(
                "`dps issuance resume` ends the pause, `dps issuance status` shows what waits."
            )?;
            Ok(())
        }
        Issuance::Resume { scope, why } => {
            let (scope, author) = (scope.scope()?, Author::of_command(why));
            let by = author.requester();
            let done = pauses::resume(store, by, now, &scope, &operator::in_time()).await?;
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

async fn print(store: &dyn CertificateStore, now: Timestamp, as_json: bool) -> anyhow::Result<()> {
    let status = status(store, now).await?;
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

/// The state of issuance, as programs read it.
pub async fn status(store: &dyn CertificateStore, now: Timestamp) -> Result<Document, StoreError> {
    let IssuanceStatus { pauses, waiting } = pauses::status(store, now).await?;
    Ok(Document {
        pauses: pauses.into_iter().map(wire).collect(),
        first: waiting.first,
        renewals: waiting.renewals,
        urgent: waiting.urgent,
        ended: waiting.ended,
        soonest_end: waiting.soonest_end,
    })
}

/// The pause, as programs read it.
pub fn wire(pause: Pause) -> PauseDocument {
    let (scope, subject) = match pause.scope {
        PauseScope::All => (PauseScopeName::All, None),
        PauseScope::Tenant(tenant) => (PauseScopeName::Tenant, Some(tenant)),
        PauseScope::Domain(hostname) => (PauseScopeName::Domain, Some(hostname.to_string())),
    };
    PauseDocument {
        scope,
        subject,
        since: pause.since,
        who: pause.who,
        reason: pause.reason,
    }
}
