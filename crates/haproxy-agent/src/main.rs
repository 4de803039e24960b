//! The `haproxy-domain-agent` command: the agent alone, for an edge that needs nothing else of us.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use dps_host::settings::Loader;
use dps_host::telemetry::{self, Format};
use haproxy_domain_agent::{Agent, Settings, SystemClock};
use serde::{Deserialize, Serialize};

/// Applies certificates to the HAProxy on this machine, without a reload, and answers HTTP-01 challenges behind it.
///
/// Settings come from section "Agent" of appsettings.json and from environment variables such as `Agent__Token`.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The settings file; appsettings.json in the current directory unless given
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
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let loaded = Loader::from_process(cli.config.as_deref())
        .ignoring_other_sections()
        .load::<Sections>()?;
    let Sections { agent, logging } = loaded.settings;
    agent.check()?;
    if cli.check {
        println!("the settings of section Agent can be used");
        return Ok(());
    }
    telemetry::init(logging.format, Some(&logging.level))?;
    let shutdown = dps_host::shutdown::token().context("signals cannot be listened to")?;
    let agent = Agent::bind(&agent, Arc::new(SystemClock)).await?;
    agent.serve(shutdown).await?;
    tracing::info!("drained");
    Ok(())
}
