//! `dps config plan`: whose state a change of the configuration would touch.
//!
//! `change` compares two settings, and `touch` decides of each record; both are pure. This
//! module reads the store and prints. Nothing is written.

mod change;
mod touch;

use std::path::Path;
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_application::operator::fleet;
use dps_application::ports::fleet_view::MAX_PAGE;
use dps_application::ports::store::StoreError;
use dps_application::ports::{CertificateStore, Clock as _};
use dps_application::rotation::OldSecrets;
use dps_domain::fleet::DomainFilter;
use dps_host::exit::UNUSABLE;
use serde::Serialize;
use serde_json::json;

use self::change::{Change, Reason};
use self::touch::{Rules, Tally};
use crate::cli::output::outln;
use crate::config::{Role, Settings};
use crate::documents::edges;
use crate::system::SystemClock;
use crate::wiring;

/// Whose state changes for one reason.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Effect {
    reason: Reason,
    /// The consequence in words.
    summary: &'static str,
    /// Domains whose state it touches.
    domains: u64,
    /// Tenants of these domains.
    tenants: u64,
    /// Edges that join or leave.
    edges: u64,
    /// Certificates or private keys that are replaced, sent, removed or encrypted again.
    certificates: u64,
    /// Events that would not be delivered.
    events: u64,
    /// Steps of the operator, in their order.
    needs: Vec<String>,
}

/// The effect of a change of the configuration.
#[derive(Debug, Serialize)]
struct Plan {
    changes: Vec<Change>,
    effects: Vec<Effect>,
}

/// Prints whose state the settings of `new` in place of the present ones would touch.
///
/// # Errors
/// When the store fails or nothing can be written.
pub async fn run(config: Option<&Path>, new: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let (Some(now), Some(then)) = (
        usable(
            Settings::load(config).map(|loaded| loaded.settings),
            "the present settings",
        ),
        checked(config, new),
    ) else {
        return Ok(ExitCode::from(UNUSABLE));
    };
    let changes = change::between(&now, &then);
    let reasons = change::reasons(&changes, &now, &then);
    let effects = if reasons.is_empty() {
        Vec::new()
    } else {
        let store = wiring::open_existing_store(&now).await?;
        let found = effects(store.as_ref(), &now, &then, &reasons).await;
        wiring::close_store(&store).await;
        found?
    };
    print(&Plan { changes, effects }, as_json)?;
    Ok(ExitCode::SUCCESS)
}

/// The new settings, if `dps config check` accepts them; its errors are printed otherwise.
fn checked(config: Option<&Path>, new: &Path) -> Option<Settings> {
    let settings = usable(Settings::load_in_place_of(config, new), "the new settings")?;
    let report = settings.check(Role::Run);
    for error in &report.errors {
        eprintln!("error: {error}");
    }
    report.errors.is_empty().then_some(settings)
}

fn usable<E: std::fmt::Display>(loaded: Result<Settings, E>, which: &str) -> Option<Settings> {
    loaded
        .map_err(|error| eprintln!("error: {which} cannot be used:\n{error}"))
        .ok()
}

async fn effects(
    store: &dyn CertificateStore,
    now: &Settings,
    then: &Settings,
    reasons: &[Reason],
) -> anyhow::Result<Vec<Effect>> {
    let rules = Rules::of(now, then);
    let tallies = scan(store, &rules, reasons).await?;
    let mut effects = Vec::new();
    for (reason, tally) in reasons.iter().zip(tallies) {
        let mut effect = Effect {
            reason: *reason,
            summary: reason.summary(),
            domains: tally.domains,
            tenants: tally.tenants.len() as u64,
            edges: 0,
            certificates: tally.served,
            events: 0,
            needs: reason.needs(now, then),
        };
        match reason {
            Reason::Edges => count_edges(store, now, then, &mut effect).await?,
            Reason::EncryptionKey => effect.certificates = count_secrets(store, then).await?,
            Reason::Webhooks => effect.events = count_events(store, then).await?,
            Reason::Database => effect.edges = store.edges().await?.len() as u64,
            _ => {}
        }
        effects.push(effect);
    }
    Ok(effects)
}

/// Reads every record once, a page at a time.
async fn scan(
    store: &dyn CertificateStore,
    rules: &Rules,
    reasons: &[Reason],
) -> Result<Vec<Tally>, StoreError> {
    let mut tallies: Vec<Tally> = reasons.iter().map(|_| Tally::default()).collect();
    let (filter, now) = (DomainFilter::default(), SystemClock.now());
    let mut after = None;
    loop {
        let page = fleet::list(store, &filter, now, after, MAX_PAGE).await?;
        for listed in &page.domains {
            for (reason, tally) in reasons.iter().zip(&mut tallies) {
                if rules.touches(*reason, &listed.record) {
                    tally.add(&listed.record);
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(tallies),
        }
    }
}

/// Counts the edges that leave with their certificates, and those that join with all of them.
async fn count_edges(
    store: &dyn CertificateStore,
    now: &Settings,
    then: &Settings,
    effect: &mut Effect,
) -> anyhow::Result<()> {
    let (all, at) = (effect.certificates, SystemClock.now());
    let known = store.edges().await?;
    effect.certificates = 0;
    for edge in &known {
        let has_left = |settings: &Settings| edges::has_left(edge, &settings.haproxy_agent, at);
        match (has_left(now), has_left(then)) {
            (false, true) => {
                effect.edges += 1;
                effect.certificates += store.edge_presents(&edge.name).await?;
            }
            (true, false) => {
                effect.edges += 1;
                effect.certificates += all;
            }
            _ => {}
        }
    }
    for url in then.haproxy_agent.urls() {
        let name = url.as_str().trim_end_matches('/');
        if !known.iter().any(|edge| edge.name == name) {
            effect.edges += 1;
            effect.certificates += all;
        }
    }
    Ok(())
}

/// Counts the private keys that are not under the current key of the new settings.
async fn count_secrets(store: &dyn CertificateStore, then: &Settings) -> anyhow::Result<u64> {
    let vault = wiring::open_vault(then)?;
    let mut secrets = OldSecrets::default();
    loop {
        if let Some(found) = secrets.advance(store, &vault).await? {
            return Ok(found);
        }
    }
}

/// Counts the events that wait for receivers which the new settings do not have.
async fn count_events(store: &dyn CertificateStore, then: &Settings) -> anyhow::Result<u64> {
    let receivers = then.webhook_receivers();
    let mut states = store.webhooks_state().await?;
    states.retain(|state| !receivers.iter().any(|one| one.name == state.receiver));
    Ok(states
        .iter()
        .map(|state| state.pending + state.failed)
        .sum())
}

fn print(plan: &Plan, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        outln!("{:#}", json!(plan))?;
        return Ok(());
    }
    if plan.changes.is_empty() && plan.effects.is_empty() {
        outln!("Nothing changes.")?;
        return Ok(());
    }
    for change in &plan.changes {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "(absent)".to_owned());
        let (setting, process) = (&change.setting, change.restart);
        outln!(
            "{setting}: {} → {}  (restart {process})",
            text(&change.from),
            text(&change.to)
        )?;
    }
    if plan.effects.is_empty() {
        outln!("No stored state is touched.")?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "reason",
        "domains",
        "tenants",
        "edges",
        "certificates",
        "events",
    ]);
    for effect in &plan.effects {
        table.add_row([
            effect.reason.as_str().to_owned(),
            effect.domains.to_string(),
            effect.tenants.to_string(),
            effect.edges.to_string(),
            effect.certificates.to_string(),
            effect.events.to_string(),
        ]);
    }
    outln!("{table}")?;
    for effect in &plan.effects {
        outln!("{}: {}", effect.reason.as_str(), effect.summary)?;
        for need in &effect.needs {
            outln!("  first: {need}")?;
        }
    }
    Ok(())
}
