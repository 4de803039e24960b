//! Starts the role that the command line names.

mod operate;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dps_admin_api::Key;
use dps_application::ports::Clock as _;
use dps_application::ports::store::ActionStore as _;
use dps_application::rotation;
use dps_database::PostgresPrograms;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_host::{exit, process, shutdown, telemetry};
use dps_store::Store;
use dps_traces::Exporter;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::act::Author;
use crate::cli::calls::Access;
use crate::cli::output::outln;
use crate::cli::{self, Cli, Command, Config, Keys, Storage, config, store_size};
use crate::config::{Finding, Role, Settings};
use crate::http::Readiness;
use crate::service::Front;
use crate::system::SystemClock;
use crate::{demo, service, standalone, wiring};

/// Pause between two reads of settings that cannot be used.
const CONFIGURATION_INTERVAL: Duration = Duration::from_secs(3);

/// Runs the command line. The exit code is 2 when the configuration cannot be used.
pub async fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let path = cli.config.as_deref();
    let access = match access(&cli) {
        Ok(access) => access,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(exit::UNUSABLE));
        }
    };
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
        Command::Doctor { json } => Box::pin(cli::doctor::run(path, json)).await,
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
        Command::Config(Config::Plan { new, json }) => {
            Box::pin(config::plan::run(path, &new, json)).await
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
        of_fleet => Box::pin(operate::execute(path, access, of_fleet)).await,
    }
}

/// How the server of the options or the environment is reached, for a command that can call one.
/// A configuration file that is named comes before the environment.
fn access(cli: &Cli) -> anyhow::Result<Option<Access>> {
    if cli.command.is_of_fleet() {
        return match cli.config {
            Some(_) => Ok(None),
            None => cli.server.clone().access_here(),
        };
    }
    anyhow::ensure!(
        cli.server.server.is_none(),
        "--server: this command works on this machine or its database, not through the admin API; \
         run it there, without the option"
    );
    Ok(None)
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

async fn keys(path: Option<&Path>, command: Keys) -> anyhow::Result<ExitCode> {
    let settings = load(path)?;
    let vault = wiring::open_vault(&settings)?;
    match command {
        Keys::List { json } => {
            for (index, id) in vault.key_ids().enumerate() {
                let is_current = index == 0;
                if json {
                    let id = id.to_string();
                    outln!("{}", json!(Key { id, is_current }))?;
                } else {
                    outln!("{id}{}", if is_current { "  (current)" } else { "" })?;
                }
            }
        }
        Keys::Rotate { why, json } => {
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
            if json {
                let (resealed, current) = (done.resealed, done.current);
                outln!(
                    "{}",
                    json!({ "rotated": resealed, "alreadyCurrent": current })
                )?;
                return Ok(ExitCode::SUCCESS);
            }
            outln!(
                "{} private keys were encrypted again; {} already used the current key.",
                done.resealed,
                done.current
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
