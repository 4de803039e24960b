//! Commands that act on a domain, and the author and reason of every action.

use clap::Args;
use dps_application::operator::{Target, WhichClaim};
use dps_domain::action::check_reason;
use dps_domain::job::DomainAction;
use dps_domain::pause::PauseScope;
use dps_domain::record::operator::Requester;
use dps_domain::{DomainId, Hostname};
use serde_json::json;

use super::calls::AdminCalls;
use super::output::{OutputError, outln};
use crate::config::Replica;

/// The reason of an action.
#[derive(Debug, Clone, Default, Args)]
pub struct Why {
    /// Reason, in one line of at most 500 characters, for the history and `dps activity`
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: Option<String>,
}

/// Parses a reason for the history.
pub(super) fn reason(text: &str) -> Result<String, String> {
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
    /// Whether a claim is named.
    pub const fn is_given(&self) -> bool {
        self.id.is_some() || self.tenant.is_some()
    }

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

/// Acts on one domain, and prints what follows.
pub async fn on_domain(
    calls: &dyn AdminCalls,
    action: DomainAction,
    target: Target<'_>,
    reason: Option<&str>,
    as_json: bool,
) -> anyhow::Result<()> {
    let host = target.hostname;
    let scope = PauseScope::Domain(host.clone());
    match action {
        DomainAction::Pause => {
            let status = calls.pause(&scope, reason).await?;
            if as_json {
                outln!("{:#}", json!(status))?;
                return Ok(());
            }
            outln!("{host}: no order is placed until `dps domains resume {host}`.")?;
            return Ok(());
        }
        DomainAction::Resume => {
            let done = calls.resume(&scope, reason).await?;
            if as_json {
                outln!("{:#}", json!(done))?;
                return Ok(());
            }
            let woken = done.woken;
            outln!("{host}: the pause has ended; {woken} orders are due now.")?;
            print_if_cut_short(done.is_complete)?;
            return Ok(());
        }
        _ => {}
    }
    let acted = calls.act(action, target, reason).await?;
    if as_json {
        outln!("{:#}", json!(acted))?;
        return Ok(());
    }
    let (hostname, phase) = (&acted.hostname, &acted.phase);
    match action {
        DomainAction::Renew => outln!(
            "{hostname}: the renewal is due now; the current certificate is served until then."
        )?,
        DomainAction::Recheck => {
            outln!("{hostname}: the check of its DNS and CAA records is due now.")?;
        }
        _ => outln!("{hostname}: the next step is due now ({phase}).")?,
    }
    Ok(())
}
