//! `dps account`: the account at the CA, for people and programs.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::json;

use super::calls::AdminCalls;
use super::output::outln;

/// Prints the account at the configured CA, without its key.
pub async fn show(calls: &dyn AdminCalls, as_json: bool) -> anyhow::Result<()> {
    let account = calls.account().await?;
    if as_json {
        outln!("{:#}", json!(account))?;
        return Ok(());
    }
    outln!("{}", account.directory_url)?;
    match (&account.url, account.created_at) {
        (Some(url), Some(at)) => outln!("  account   {url}, key made at {at}")?,
        (None, Some(at)) => outln!("  account   not registered yet; its key was made at {at}")?,
        (_, None) => outln!("  account   none yet; the first order makes one")?,
    }
    if !account.caa_identities.is_empty() {
        outln!("  CAA names {}", account.caa_identities.join(", "))?;
    }
    let agreed = if account.terms_of_service_agreed {
        "agreed to"
    } else {
        "not agreed to (LetsEncrypt:TermsOfServiceAgreed)"
    };
    outln!("  terms     {agreed}")?;
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["limit", "at once", "left", "CA: not before"]);
    for limit in account.limits {
        let left = limit.left.map(|left| left.to_string());
        let until = limit.blocked_until.map(|until| until.to_string());
        table.add_row([
            limit.limit,
            limit.capacity.to_string(),
            left.unwrap_or_else(|| "no limit".to_owned()),
            until.unwrap_or_default(),
        ]);
    }
    outln!("{table}")?;
    Ok(())
}
