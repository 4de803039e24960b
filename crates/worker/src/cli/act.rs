//! Commands that act on a domain, and the author and reason of every action.

use clap::Args;
use dps_application::operator::{self, Target, WhichClaim};
use dps_application::ports::CertificateStore;
use dps_domain::action::check_reason;
use dps_domain::ownership::RequireProof;
use dps_domain::record::operator::Requester;
use dps_domain::{DomainId, Hostname, Timestamp};

use super::output::{OutputError, outln};
use crate::config::Replica;

/// The reason of an action.
#[derive(Debug, Clone, Default, Args)]
pub struct Why {
    /// Reason, in one line of at most 500 characters, for the history and `dps activity`
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

fn reason(text: &str) -> Result<String, String> {
    let checked = check_reason(text).map(str::to_owned);
    checked.map_err(|error| error.to_string())
}

/// Which of several claims of a hostname is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct ClaimArgs {
    /// Identifier of the domain, where several claim the hostname
    #[arg(long, value_name = "ID")]
    pub id: Option<DomainId>,
    /// Tenant of the domain, where several claim the hostname
    #[arg(long)]
    pub tenant: Option<String>,
}

impl ClaimArgs {
    /// The claim of a hostname.
    pub fn of<'a>(&'a self, hostname: &'a Hostname) -> Target<'a> {
        let (id, tenant) = (self.id, self.tenant.as_deref());
        Target {
            claim: WhichClaim { id, tenant },
            ..Target::from(hostname)
        }
    }
}

/// The person at the command line, with a reason.
#[derive(Debug)]
pub struct Author {
    who: String,
    reason: Option<String>,
}

impl Author {
    /// The person that runs this command.
    pub fn of_command(why: Why) -> Self {
        Self {
            who: Replica::operator(),
            reason: why.reason,
        }
    }

    /// The author as the record of actions takes it.
    pub fn requester(&self) -> Requester<'_> {
        Requester {
            reason: self.reason.as_deref(),
            ..Requester::from(self.who.as_str())
        }
    }
}

/// Says how an action on many records is completed, if it was cut short.
pub fn print_if_cut_short(is_complete: bool) -> Result<(), OutputError> {
    if is_complete {
        return Ok(());
    }
    outln!("The time was up before all were reached; the same command again reaches the others.")
}

/// An action on one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Make the next step due. Where this requires proofs, the DNS check decides between tenants.
    Retry(RequireProof),
    /// Begin a renewal.
    Renew,
    /// Check a live domain.
    Recheck,
}

/// Acts on one domain, and prints what follows.
pub async fn on_domain(
    store: &dyn CertificateStore,
    deed: Deed,
    author: &Author,
    now: Timestamp,
    target: Target<'_>,
) -> anyhow::Result<()> {
    let by = author.requester();
    let record = match deed {
        Deed::Retry(require) => operator::retry(store, by, now, target, require).await?,
        Deed::Renew => operator::renew(store, by, now, target).await?,
        Deed::Recheck => operator::recheck(store, by, now, target).await?,
    };
    let (hostname, phase) = (&record.hostname, record.phase.name());
    match deed {
        Deed::Retry(_) => outln!("{hostname}: the next step is due now ({phase}).")?,
        Deed::Renew => outln!(
            "{hostname}: the renewal is due now; the current certificate is served until then."
        )?,
        Deed::Recheck => outln!("{hostname}: the check of its DNS and CAA records is due now.")?,
    }
    Ok(())
}
