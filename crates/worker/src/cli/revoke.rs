//! `dps domains revoke`: the revocation of the certificate of one domain or many.

use clap::{Arg, Args};
use dps_application::operator::Target;
use dps_domain::revocation::RevocationReason;
use serde_json::json;

use super::act::{Why, reason};
use super::bulk::OnDomains;
use super::calls::AdminCalls;
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

/// Shows the certificate that is revoked, and requests its revocation if the operator said yes.
pub async fn one(
    calls: &dyn AdminCalls,
    for_ca: RevocationReason,
    target: Target<'_>,
    (is_confirmed, as_json): (bool, bool),
    why: &Why,
) -> anyhow::Result<()> {
    let mut found = calls.preview_revocation(target, for_ca).await?;
    let host = found.hostname.clone();
    if !as_json {
        let (serial, end) = (&found.serial, found.not_after);
        outln!("{host}: the certificate {serial}, valid until {end}")?;
        outln!("{}", effect(for_ca, found.served))?;
    }
    found.acted = is_confirmed;
    if as_json {
        outln!("{}", json!(found))?;
    }
    if !is_confirmed {
        eprintln!("Nothing was done. A revocation cannot be undone. Repeat with --yes to act.");
        return Ok(());
    }
    calls.revoke(target, for_ca, why.reason.as_deref()).await?;
    if !as_json {
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
