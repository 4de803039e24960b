//! Runs the commands that read the fleet or act on it, by the store or by a server.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use dps_admin_api::{Diagnosis as Document, LiftRequest};
use dps_application::operator;
use dps_application::operator::diagnose::{Diagnosis, STORE_TIMEOUT};
use dps_application::ports::Clock as _;
use dps_domain::Hostname;
use dps_domain::job::DomainAction;
use dps_host::exit;
use dps_store::Store;
use tokio::time::timeout;

use super::{load, with_store};
use crate::cli::bulk::OnDomains;
use crate::cli::calls::{Access, AdminCalls, Server, StoreCalls};
use crate::cli::{
    Command, Domains, Edges, Limits, Removals, Tenants, Webhooks, account, act, activity, bulk,
    diagnose, domains, edges, explain, fleet, issuance, limits, removals, revoke, tenants,
    webhooks,
};
use crate::documents::diagnosis;
use crate::system::SystemClock;
use crate::wiring::{self, Peers};

/// Runs a command by the server, or by the store of the settings.
pub(super) async fn execute(
    path: Option<&Path>,
    access: Option<Access>,
    command: Command,
) -> anyhow::Result<ExitCode> {
    let server = match access.map(Server::open).transpose() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(exit::UNUSABLE));
        }
    };
    match (server, command) {
        (Some(server), Command::Diagnose { host, json }) => {
            diagnose::show(&server.diagnose(&hostname(&host)?).await?, json)?;
        }
        (None, Command::Diagnose { host, json }) => {
            diagnose::show(&diagnosed(path, hostname(&host)?).await?, json)?;
        }
        (Some(server), command) => run(&server, command).await?,
        (None, command) => {
            let settings = load(path)?;
            let act = async |store: &Store| run(&StoreCalls::new(store, &settings), command).await;
            with_store(&settings, act).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(calls: &dyn AdminCalls, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Domains(command) => run_domains(calls, command).await,
        Command::Explain { host, json } => explain::print(calls, &hostname(&host)?, json).await,
        Command::Fleet { json } => fleet::overview(calls, json).await,
        Command::Edges { json, command } => match command {
            None => edges::list(calls, json).await,
            Some(Edges::Approve { url, why, json }) => {
                edges::approve(calls, &url, &why, json).await
            }
            Some(Edges::Compare { url, why, json }) => {
                edges::compare(calls, &url, &why, json).await
            }
        },
        Command::Removals(Removals::Show { json }) => removals::show(calls, json).await,
        Command::Removals(Removals::Approve { why, json }) => {
            removals::approve(calls, why.reason.as_deref(), json).await
        }
        Command::Limits(Limits::Show { json }) => {
            limits::print(calls, SystemClock.now(), json).await
        }
        Command::Limits(Limits::Lift {
            limit,
            name,
            why,
            json,
        }) => {
            let reason = why.reason;
            let request = LiftRequest {
                limit,
                name,
                reason,
            };
            limits::lift(calls, &request, json).await
        }
        Command::Jobs(command) => bulk::jobs(calls, command).await,
        Command::Issuance(command) => issuance::run(calls, command).await,
        Command::Activity {
            before,
            limit,
            json,
        } => activity::list(calls, before, limit, json).await,
        Command::Webhooks(Webhooks::List { json }) => webhooks::list(calls, json).await,
        Command::Webhooks(Webhooks::Redeliver(request)) => {
            webhooks::redeliver(calls, request).await
        }
        Command::Tenants(Tenants::List { after, limit, json }) => {
            tenants::list(calls, &after, limit, json).await
        }
        Command::Tenants(Tenants::Show { tenant, json }) => {
            tenants::show(calls, &tenant, json).await
        }
        Command::Account { json } => account::show(calls, json).await,
        other => anyhow::bail!("{other:?} does not read the fleet"),
    }
}

async fn run_domains(calls: &dyn AdminCalls, command: Domains) -> anyhow::Result<()> {
    match command {
        Domains::List {
            filter,
            after,
            limit,
            json,
        } => {
            let options = domains::ListOptions {
                filter: filter.filter(),
                after,
                limit,
                as_json: json,
            };
            domains::list(calls, &options).await
        }
        Domains::Count { filter, by, json } => {
            fleet::count(calls, &filter.filter(), by, json).await
        }
        Domains::Show {
            host,
            which,
            events,
            json,
        } => {
            let host = hostname(&host)?;
            domains::show(calls, which.of(&host), events, json).await
        }
        Domains::Retry(on) => act_on(calls, DomainAction::Retry, on).await,
        Domains::Renew(on) => act_on(calls, DomainAction::Renew, on).await,
        Domains::Recheck(on) => act_on(calls, DomainAction::Recheck, on).await,
        Domains::Revoke(revoke) => {
            let (reason, on) = revoke.parts()?;
            act_on(calls, DomainAction::revoke(reason), on).await
        }
        Domains::Pause(on) => act_on(calls, DomainAction::Pause, on).await,
        Domains::Resume(on) => act_on(calls, DomainAction::Resume, on).await,
    }
}

/// Acts on one domain, or on many after a preview.
async fn act_on(
    calls: &dyn AdminCalls,
    action: DomainAction,
    mut on: OnDomains,
) -> anyhow::Result<()> {
    let Some(host) = on.host.take() else {
        return bulk::run(calls, action, on).await;
    };
    let (host, claim) = (hostname(&host)?, on.take_claim());
    let (yes, as_json) = (on.yes, on.json);
    let revocation = action.revocation();
    if revocation.is_some() {
        on.yes = false;
    }
    if on.chooses_many() {
        anyhow::bail!("a hostname is one domain: leave out the options that are for many");
    }
    if matches!(action, DomainAction::Pause | DomainAction::Resume) && claim.is_given() {
        anyhow::bail!("a pause is of every claim of a hostname: leave out --id and --tenant");
    }
    let target = claim.of(&host);
    if let Some(reason) = revocation {
        return revoke::one(calls, reason, target, (yes, as_json), &on.why).await;
    }
    act::on_domain(calls, action, target, on.why.reason.as_deref(), as_json).await
}

/// Diagnoses a domain from this machine.
async fn diagnosed(path: Option<&Path>, host: Hostname) -> anyhow::Result<Document> {
    let settings = load(path)?;
    let peers = Peers::configured(&settings).context(
        "a diagnosis needs the settings of `dps run`; beside `dps standalone`, call its admin API \
         with --server",
    )?;
    let began_at = SystemClock.now();
    let opening = timeout(STORE_TIMEOUT, wiring::open_existing_store(&settings));
    let Ok(store) = opening.await else {
        return Ok(diagnosis(Diagnosis::without_store(host, began_at)));
    };
    let store = store?;
    let done = async {
        let service = wiring::observer(&settings, &peers, Arc::clone(&store)).await?;
        Ok(operator::diagnose::diagnose(&service, &host).await?)
    };
    let done: anyhow::Result<Diagnosis> = Box::pin(done).await;
    wiring::close_store(&store).await;
    Ok(diagnosis(done?))
}

fn hostname(text: &str) -> anyhow::Result<Hostname> {
    Hostname::parse(text).with_context(|| format!("{text:?} is not a hostname"))
}
