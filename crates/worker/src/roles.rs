//! Starts the role that the command line names.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dps_application::operator::diagnose::{Diagnosis, STORE_TIMEOUT};
use dps_application::ports::Clock as _;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::store::ActionStore as _;
use dps_application::rotation;
use dps_database::PostgresPrograms;
use dps_domain::Hostname;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::job::DomainAction;
use dps_domain::limits::LimitKind;
use dps_host::{exit, process, shutdown, telemetry};
use dps_store::Store;
use dps_traces::Exporter;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cli::act::{self, Author};
use crate::cli::bulk::{self, OnDomains};
use crate::cli::output::outln;
use crate::cli::revoke::{self, Confirmation};
use crate::cli::{
    self, Cli, Command, Config, Domains, Edges, Keys, Limits, Removals, Storage, Webhooks,
    activity, config, domains, edges, fleet, issuance, limits, removals, store_size, webhooks,
};
use crate::config::{Finding, Role, Settings};
use crate::http::Readiness;
use crate::service::Front;
use crate::system::SystemClock;
use crate::wiring::Peers;
use crate::{demo, service, standalone, wiring};

/// Pause between two reads of settings that cannot be used.
const CONFIGURATION_INTERVAL: Duration = Duration::from_secs(3);

/// Runs the command line. The exit code is 2 when the configuration cannot be used.
pub async fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let path = cli.config.as_deref();
    match cli.command {
        Command::Run(options) => serve(path, Role::Run, options.wait_for_configuration).await,
        Command::Agent => serve(path, Role::Agent, false).await,
        Command::Cabinet => serve(path, Role::Cabinet, false).await,
        Command::Standalone => serve(path, Role::Standalone, false).await,
        Command::Demo(options) => Box::pin(demo::run(demo::Options {
            once: options.once,
            json: options.json,
            domains: options.domains,
            fault: options.fault,
        }))
        .await
        .map(|()| ExitCode::SUCCESS),
        Command::Migrate => {
            let store = wiring::open_store(&load(path)?, None).await?;
            wiring::close_store(&store).await;
            outln!("The database has the schema of this version.")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Backup { folder, pg_dump } => {
            let programs = PostgresPrograms { pg_dump };
            cli::backup::backup(&load(path)?, &folder, &programs).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Domains(command) => {
            let settings = load(path)?;
            let act = async |store: &Store| run_domains(store, &settings, command).await;
            with_store(&settings, act).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain { host, json } => explain(path, &host, json).await,
        Command::Diagnose { host, json } => diagnose(path, &host, json).await,
        Command::Doctor { json } => Box::pin(cli::doctor::run(path, json)).await,
        Command::Fleet { json } => {
            let act = async |store: &Store| fleet::overview(store, SystemClock.now(), json).await;
            in_store(path, act).await
        }
        Command::Edges { json, command } => run_edges(path, json, command).await,
        Command::Removals(command) => run_removals(path, command).await,
        Command::Limits(command) => {
            let settings = load(path)?;
            let act = async |store: &Store| print_limits(store, &settings, command).await;
            with_store(&settings, act).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Jobs(command) => {
            let act = async |store: &Store| bulk::jobs(store, command, SystemClock.now()).await;
            in_store(path, act).await
        }
        Command::Issuance(command) => {
            let act = async |store: &Store| issuance::run(store, command, SystemClock.now()).await;
            in_store(path, act).await
        }
        Command::Activity {
            before,
            limit,
            json,
        } => {
            let act = async |store: &Store| activity::list(store, before, limit, json).await;
            in_store(path, act).await
        }
        Command::Webhooks(command) => in_webhooks(path, command).await,
        Command::Store(Storage::Size { json }) => {
            let settings = load(path)?;
            let section = &settings.certificate_store;
            let (retention, lines) = (section.retention(), section.events_per_domain);
            let act = async |store: &Store| store_size::print(store, &retention, lines, json).await;
            with_store(&settings, act).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys(command) => keys(path, command).await,
        Command::Pki(command) => {
            cli::pki::execute(command, SystemClock.now())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(Config::Check { role, json }) => {
            let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
            Ok(config::check(path, role, json, &mut out, &mut err)?)
        }
        Command::Config(Config::Sample) => {
            cli::output::write(format_args!("{}", config::SAMPLE))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            cli::shell::completions(shell)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            cli::shell::manual(&folder)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a role until SIGTERM or SIGINT.
async fn serve(
    path: Option<&Path>,
    role: Role,
    waits_for_configuration: bool,
) -> anyhow::Result<ExitCode> {
    let stop = shutdown::token()?;
    let mut settings = match usable(path, role) {
        Ok(settings) => settings,
        Err(problems) if waits_for_configuration => {
            match wait_for_configuration(path, role, problems, &stop).await? {
                Some(settings) => settings,
                None => return Ok(ExitCode::SUCCESS),
            }
        }
        Err(_) => return Ok(ExitCode::from(exit::UNUSABLE)),
    };
    // Histories and leases of this process have one name.
    settings.replica.settle(&dps_host::randomness::hex(3));
    let exporter = start_telemetry(&settings, role)?;
    if let Err(error) = process::raise_descriptor_limit() {
        tracing::warn!(%error, "process.open_files_limited");
    }
    let ran = Box::pin(run_role(settings, role, stop)).await;
    if let Some(exporter) = exporter {
        exporter.close().await;
    }
    ran.map(|()| ExitCode::SUCCESS)
}

/// Starts the log, and the export of spans if the role has spans and the settings want them.
fn start_telemetry(settings: &Settings, role: Role) -> anyhow::Result<Option<Exporter>> {
    let has_spans = matches!(role, Role::Run | Role::Standalone);
    let section = has_spans.then_some(&settings.open_telemetry);
    let export =
        section.map(|section| section.export(settings.replica.name.as_deref().unwrap_or_default()));
    let started = export.transpose()?.flatten().map(|export| {
        let target = dps_application::spans::TARGET;
        dps_traces::start(export, target)
    });
    let (side, exporter) = started.transpose()?.unzip();
    let logging = &settings.logging;
    telemetry::init(logging.format, Some(&logging.level), side)?;
    Ok(exporter)
}

/// Runs a role until `stop`.
async fn run_role(settings: Settings, role: Role, stop: CancellationToken) -> anyhow::Result<()> {
    match role {
        Role::Run => Box::pin(service::run(&settings, stop)).await?,
        Role::Agent => {
            let clock = Arc::new(haproxy_domain_agent::SystemClock);
            Box::pin(haproxy_domain_agent::run(&settings.agent, clock, stop)).await?;
        }
        Role::Cabinet => {
            dps_cabinet::bind(settings.cabinet).await?.run(stop).await?;
        }
        Role::Standalone => {
            let standalone = Box::pin(standalone::start(settings, stop)).await?;
            standalone.finish().await?;
        }
    }
    Ok(())
}

/// The settings; or all that is wrong with them, after it was printed.
fn usable(path: Option<&Path>, role: Role) -> Result<Settings, Vec<String>> {
    let (settings, problems) = examine(path, role, |warning| eprintln!("warning: {warning}"));
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    settings.ok_or(problems)
}

/// The settings, if they can be used, and all that is wrong with them.
fn examine(
    path: Option<&Path>,
    role: Role,
    warn: impl Fn(&Finding),
) -> (Option<Settings>, Vec<String>) {
    let settings = match Settings::load(path) {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            return (
                None,
                error.problems().iter().map(ToString::to_string).collect(),
            );
        }
    };
    let report = settings.check(role);
    report.warnings.iter().for_each(warn);
    let problems: Vec<String> = report.errors.iter().map(ToString::to_string).collect();
    (problems.is_empty().then_some(settings), problems)
}

/// Answers `/health` with the problems of the settings, until they can be used; `None` when `stop`
/// comes first.
async fn wait_for_configuration(
    path: Option<&Path>,
    role: Role,
    mut problems: Vec<String>,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Settings>> {
    let http = Settings::load_http(path)?;
    let readiness = Readiness::not_configured(problems.clone(), stop.clone());
    let front = Front::open(http.listen, readiness)?;
    eprintln!(
        "waiting for valid settings; http://{}/health lists the problems",
        front.address()
    );
    let next_read = || stop.run_until_cancelled(tokio::time::sleep(CONFIGURATION_INTERVAL));
    let mut settings = None;
    while settings.is_none() && next_read().await.is_some() {
        let (found, now) = examine(path, role, |_| ());
        settings = found;
        if now != problems {
            for problem in &now {
                eprintln!("error: {problem}");
            }
            problems.clone_from(&now);
            front.readiness().set_problems(now);
        }
    }
    front.close().await?;
    Ok(settings)
}

fn load(path: Option<&Path>) -> anyhow::Result<Settings> {
    Ok(Settings::load(path)?.settings)
}

async fn in_webhooks(path: Option<&Path>, command: Webhooks) -> anyhow::Result<ExitCode> {
    let receivers = load(path)?.webhook_receivers();
    let act = async |store: &Store| match command {
        Webhooks::List { json } => webhooks::list(store, &receivers, json).await,
        Webhooks::Redeliver(request) => {
            webhooks::redeliver(store, request, SystemClock.now()).await
        }
    };
    in_store(path, act).await
}

/// Does something with the store of the settings.
async fn in_store(
    path: Option<&Path>,
    act: impl AsyncFnOnce(&Store) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    with_store(&load(path)?, act).await?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the store that is there, does something with it, and closes it.
async fn with_store<T>(
    settings: &Settings,
    act: impl AsyncFnOnce(&Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let store = wiring::open_existing_store(settings).await?;
    let done = act(&store).await;
    wiring::close_store(&store).await;
    done
}

async fn run_domains(store: &Store, settings: &Settings, command: Domains) -> anyhow::Result<()> {
    let policy = &settings.policy();
    let now = SystemClock.now();
    match command {
        Domains::List {
            filter,
            after,
            limit,
            json,
        } => {
            let options = domains::ListOptions {
                ca: &settings.lets_encrypt,
                filter: filter.filter(),
                now,
                after,
                limit,
                as_json: json,
            };
            domains::list(store, policy, &options).await?;
        }
        Domains::Count { filter, by, json } => {
            fleet::count(store, &filter.filter(), now, by, json).await?;
        }
        Domains::Show {
            host,
            which,
            events,
            json,
        } => {
            let has_left = |edge: &KnownEdge| edges::has_left(edge, &settings.haproxy_agent, now);
            let options = domains::ShowOptions {
                events,
                as_json: json,
                ca: &settings.lets_encrypt,
            };
            let host = hostname(&host)?;
            domains::show(store, policy, which.of(&host), &options, has_left).await?;
        }
        Domains::Retry(on) => act_on(store, settings, DomainAction::Retry, on).await?,
        Domains::Renew(on) => act_on(store, settings, DomainAction::Renew, on).await?,
        Domains::Recheck(on) => act_on(store, settings, DomainAction::Recheck, on).await?,
        Domains::Revoke(revoke) => {
            let (reason, on) = revoke.parts()?;
            act_on(store, settings, DomainAction::revoke(reason), on).await?;
        }
        Domains::Pause(on) => act_on(store, settings, DomainAction::Pause, on).await?,
        Domains::Resume(on) => act_on(store, settings, DomainAction::Resume, on).await?,
    }
    Ok(())
}

async fn run_removals(path: Option<&Path>, command: Removals) -> anyhow::Result<ExitCode> {
    let now = SystemClock.now();
    let act = async |store: &Store| match command {
        Removals::Show => removals::show(store, now).await,
        Removals::Approve { why } => removals::approve(store, &Author::of_command(why), now).await,
    };
    in_store(path, act).await
}

async fn run_edges(
    path: Option<&Path>,
    as_json: bool,
    command: Option<Edges>,
) -> anyhow::Result<ExitCode> {
    let settings = load(path)?;
    let (agents, now) = (&settings.haproxy_agent, SystemClock.now());
    let act = async |store: &Store| match command {
        None => edges::list(store, agents, now, as_json).await,
        Some(Edges::Approve { url, why }) => {
            edges::approve(store, agents, &url, &Author::of_command(why), now).await
        }
    };
    with_store(&settings, act).await?;
    Ok(ExitCode::SUCCESS)
}

/// Acts on one domain, or on many after a preview.
async fn act_on(
    store: &Store,
    settings: &Settings,
    action: DomainAction,
    mut on: OnDomains,
) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let Some(host) = on.host.take() else {
        let orders = settings
            .lets_encrypt
            .effective_limits()
            .get(LimitKind::NewOrders);
        return bulk::run(store, action, on, orders, now).await;
    };
    let (host, claim) = (hostname(&host)?, on.take_claim());
    let yes = Confirmation {
        is_given: on.yes,
        as_json: on.json,
    };
    let revocation = action.revocation();
    if revocation.is_some() {
        (on.yes, on.json) = (false, false);
    }
    if on.chooses_many() {
        anyhow::bail!("a hostname is one domain: leave out the options that are for many");
    }
    if matches!(action, DomainAction::Pause | DomainAction::Resume) && claim.is_given() {
        anyhow::bail!("a pause is of every claim of a hostname: leave out --id and --tenant");
    }
    let author = Author::of_command(on.why);
    if let Some(reason) = revocation {
        return revoke::one(store, reason, &author, now, claim.of(&host), yes).await;
    }
    let require = settings.policy().ownership.require;
    act::on_domain(store, action, &author, now, claim.of(&host), require).await
}

async fn print_limits(store: &Store, settings: &Settings, command: Limits) -> anyhow::Result<()> {
    let (ca, now) = (&settings.lets_encrypt, SystemClock.now());
    match command {
        Limits::Show { json } => limits::print(store, ca, now, json).await,
        Limits::Lift { limit, name, why } => {
            let author = (&Author::of_command(why), now);
            limits::lift_by_name(store, ca, author, &limit, name.as_deref()).await
        }
    }
}

async fn explain(path: Option<&Path>, host: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let (settings, host) = (load(path)?, hostname(host)?);
    let policy = settings.policy();
    let how = (SystemClock.now(), as_json);
    with_store(&settings, async |store| {
        cli::explain::print(store, &settings, &policy, &host, how).await
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn diagnose(path: Option<&Path>, host: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let (settings, host) = (load(path)?, hostname(host)?);
    let peers = Peers::configured(&settings).context(
        "a diagnosis needs the settings of `dps run`; beside `dps standalone`, call \
         POST /admin/v1/domains/{host}/diagnose",
    )?;
    let began_at = SystemClock.now();
    let opening = timeout(STORE_TIMEOUT, wiring::open_existing_store(&settings));
    let Ok(store) = opening.await else {
        cli::diagnose::show(Diagnosis::without_store(host, began_at), as_json)?;
        return Ok(ExitCode::SUCCESS);
    };
    let store = store?;
    let done = async {
        let service = wiring::observer(&settings, &peers, Arc::clone(&store)).await?;
        cli::diagnose::print(&service, &host, as_json).await
    };
    let done = Box::pin(done).await;
    wiring::close_store(&store).await;
    done?;
    Ok(ExitCode::SUCCESS)
}

fn hostname(text: &str) -> anyhow::Result<Hostname> {
    Hostname::parse(text).with_context(|| format!("{text:?} is not a hostname"))
}

async fn keys(path: Option<&Path>, command: Keys) -> anyhow::Result<ExitCode> {
    let settings = load(path)?;
    let vault = wiring::open_vault(&settings)?;
    match command {
        Keys::List => {
            for (index, id) in vault.key_ids().enumerate() {
                outln!("{id}{}", if index == 0 { "  (current)" } else { "" })?;
            }
        }
        Keys::Rotate { why } => {
            let author = Author::of_command(why);
            let rotate = async |store: &Store| {
                let (kind, scope) = (ActionKind::KeysRotate, ActionScope::All);
                let by = author.requester();
                let action = OperatorAction::new(by, SystemClock.now(), kind, scope, "");
                // Before the first key, since a rotation that stops in the middle is one, too.
                store.action_insert(&action).await?;
                Ok(rotation::rotate(store, &vault).await?)
            };
            let done = with_store(&settings, rotate).await?;
            outln!(
                "{} private keys were encrypted again; {} already used the current key.",
                done.resealed,
                done.current
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
