//! The `haproxy-domain-agent` command: the agent alone, for an edge that needs nothing else of us.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use dps_domain::with_causes;
use dps_host::settings::Loader;
use dps_host::telemetry::{self, Format};
use dps_host::{exit, process};
use haproxy_domain_agent::{Settings, SystemClock};
use serde::{Deserialize, Serialize};

/// Applies certificates to the HAProxy on this machine, without a reload, and answers HTTP-01
/// challenges through it.
///
/// The settings are read from the section "Agent" of appsettings.json and from environment
/// variables such as `Agent__Token`.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::TABLE)]
struct Cli {
    /// Configuration file instead of ./appsettings.json
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the settings and exit
    #[arg(long)]
    check: bool,
}

/// The sections that this process knows.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Sections {
    agent: Settings,
    logging: Logging,
}

/// Section `Logging`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Logging {
    level: String,
    format: Format,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            level: "Information".to_owned(),
            format: Format::Auto,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = process::hide_memory() {
        eprintln!("warning: other processes of this user may read this one's memory: {error}");
    }
    let cli = Cli::parse();
    let Sections { agent, logging } = match usable(cli.config.as_deref()) {
        Ok(sections) => sections,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::from(exit::UNUSABLE);
        }
    };
    if cli.check {
        println!("The settings of the section Agent are valid.");
        return ExitCode::SUCCESS;
    }
    match serve(&agent, &logging).await {
        Ok(()) => ExitCode::SUCCESS,
        // Without the backtrace that `Debug` shows where RUST_BACKTRACE is set.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// The settings, or what is wrong with them.
fn usable(config: Option<&Path>) -> Result<Sections, String> {
    let loader = Loader::from_process(config).ignoring_other_sections();
    let sections = loader
        .load::<Sections>()
        .map_err(|error| error.to_string())?;
    let Sections { agent, logging } = &sections.settings;
    agent.check().map_err(|error| with_causes(&error))?;
    telemetry::check_level(&logging.level).map_err(|error| format!("Logging:Level: {error}"))?;
    Ok(sections.settings)
}

async fn serve(agent: &Settings, logging: &Logging) -> anyhow::Result<()> {
    telemetry::init(logging.format, Some(&logging.level), None)?;
    if let Err(error) = process::raise_descriptor_limit() {
        tracing::warn!(%error, "process.open_files_limited");
    }
    let shutdown = dps_host::shutdown::token().context("cannot listen to signals")?;
    haproxy_domain_agent::run(agent, Arc::new(SystemClock), shutdown).await?;
    tracing::info!("agent.drained");
    Ok(())
}
