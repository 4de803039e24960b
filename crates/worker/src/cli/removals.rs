//! `dps removals`: the brake on removals, for people.

use anyhow::Context as _;
use dps_application::ports::CertificateStore;
use dps_application::workers;
use dps_domain::Timestamp;

use super::act::Author;
use super::output::outln;

/// Prints the removals of the present day.
///
/// # Errors
/// When the store fails.
pub async fn show(store: &dyn CertificateStore, now: Timestamp) -> anyhow::Result<()> {
    let (removed, approved_until) = workers::removals(store, now).await?;
    outln!("Removed or renamed today: {removed}.")?;
    match approved_until {
        Some(until) => outln!("All removals are approved until {until}.")?,
        None => outln!(
            "Removals beyond Workers:Removal:BrakePercent of the domains are held back until `dps \
             removals approve`."
        )?,
    }
    Ok(())
}

/// Lets all removals through for a day.
///
/// # Errors
/// When the store fails, or others wrote the count all the while.
pub async fn approve(
    store: &dyn CertificateStore,
    author: &Author,
    now: Timestamp,
) -> anyhow::Result<()> {
    let until = workers::approve_removals(store, author.requester(), now).await?;
    let until = until.context("another process is changing the count of removals; try again")?;
    outln!(
        "All removals are approved until {until}; the service now applies those that it held back."
    )?;
    Ok(())
}
