//! `dps domains revoke`: the revocation of the certificate of one domain or many.

use clap::{Arg, Args};
use dps_application::operator::{self, Target};
use dps_application::ports::CertificateStore;
use dps_domain::Timestamp;
use dps_domain::revocation::RevocationReason;
use serde_json::json;

use super::act::{Author, reason};
use super::bulk::OnDomains;
use super::output::outln;

/// Options of `dps domains revoke`. `--reason` is the reason of RFC 5280.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The domains
    #[command(flatten)]
    pub on: OnDomains,
    /// Why, in one line of at most 500 characters, for the history and `dps activity`
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub note: Option<String>,
}

impl Revoke {
    /// Takes the reason for the CA apart from the one for the history.
    pub fn parts(mut self) -> anyhow::Result<(RevocationReason, OnDomains)> {
        let text = self.on.why.reason.take().unwrap_or_default();
        self.on.why.reason = self.note;
        Ok((text.parse()?, self.on))
    }
}

/// Makes the option for a reason one for a reason of RFC 5280.
pub(super) fn as_reason(option: Arg) -> Arg {
    option
        .value_name("REASON")
        .help("Reason for the CA (RFC 5280), such as key-compromise")
        .required(true)
        .value_parser(checked)
}

/// Parses a reason of RFC 5280; it is kept as text.
fn checked(text: &str) -> Result<String, String> {
    let parsed = text.parse::<RevocationReason>();
    parsed
        .map(|reason| reason.as_str().to_owned())
        .map_err(|error| error.to_string())
}

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation {
    /// Act; without it, only a preview is shown.
    pub is_given: bool,
    /// Print JSON instead of text.
    pub as_json: bool,
}

/// Shows the certificate that is revoked, and requests its revocation if the operator said yes.
pub async fn one(
    store: &dyn CertificateStore,
    reason: RevocationReason,
    author: &Author,
    now: Timestamp,
    target: Target<'_>,
    yes: Confirmation,
) -> anyhow::Result<()> {
    let (record, certificate) = operator::revoke::preview(store, now, target, reason).await?;
    let (host, serial, end) = (&record.hostname, &certificate.serial, certificate.not_after);
    let is_served = record.phase.serving() == Some(certificate.id);
    if yes.as_json {
        let preview = json!({
            "hostname": host.as_str(), "serial": serial, "notAfter": end,
            "revocationReason": reason, "served": is_served, "acted": yes.is_given,
        });
        outln!("{preview}")?;
    } else {
        outln!("{host}: the certificate {serial}, valid until {end}")?;
        outln!("{}", effect(reason, is_served))?;
    }
    if !yes.is_given {
        eprintln!("Nothing was done. A revocation cannot be undone. Repeat with --yes to act.");
        return Ok(());
    }
    operator::revoke::revoke(store, author.requester(), now, target, reason).await?;
    if !yes.as_json {
        outln!(
            "{host}: the revocation is requested; `dps domains show {host}` says when it is done."
        )?;
    }
    Ok(())
}

const fn effect(reason: RevocationReason, is_served: bool) -> &'static str {
    match (reason, is_served) {
        (RevocationReason::KeyCompromise, true) => {
            "It is replaced at once and then revoked, after an hour at the latest. Its key is erased \
             when no live edge needs it."
        }
        (_, true) => "It is replaced at once and then revoked, after 24 hours at the latest.",
        (RevocationReason::KeyCompromise, false) => {
            "It is revoked when no edge presents it, after an hour at the latest, and its key is \
             erased."
        }
        (_, false) => "It is revoked when no edge presents it, after 24 hours at the latest.",
    }
}
