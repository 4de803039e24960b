//! `dps simulate`: the service in virtual time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use dps_simulation::outcome::grouped;
use dps_simulation::{Outcome, Progress, Scenario, draw};

use super::output::{self, unless_reader_gone};
use crate::config::Settings;
use dps_host::exit::UNUSABLE;

/// Between two lines about how far the run is, in real time.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

/// `dps simulate`.
#[derive(Debug, Clone, Args)]
pub struct Simulate {
    /// What happens, as a file; without it, domains arrive and are kept alive
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// So many domains instead of those of the scenario
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub domains: Option<u32>,
    /// So many virtual days instead of those of the scenario
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=3_660))]
    pub days: Option<u32>,
    /// What chance is drawn from: the same seed gives the same run, to the last byte
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write outcome.txt, outcome.json and outcome.svg into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Draw the run into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print the outcome with its hourly numbers as JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Plays the scenario. The exit code is 1 when something that must hold did not, and 2 when the
/// scenario cannot be used.
pub async fn simulate(options: Simulate) -> anyhow::Result<ExitCode> {
    let scenario = match scenario(&options) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(ExitCode::from(UNUSABLE));
        }
    };
    if let Err(error) = prepare(&options) {
        eprintln!("error: {error:#}");
        return Ok(ExitCode::from(UNUSABLE));
    }
    let began = Instant::now();
    let seed = options.seed;
    let played = tokio::task::spawn_blocking(move || play(&scenario, seed, began));
    let outcome = played.await.context("the simulation ended by itself")??;
    eprintln!("{}", cost(began.elapsed()));
    save(&options, &outcome)?;
    let text = if options.json {
        format!("{}\n", outcome.to_json())
    } else {
        outcome.to_text()
    };
    unless_reader_gone(output::write(format_args!("{text}")))?;
    Ok(if outcome.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn scenario(options: &Simulate) -> Result<Scenario, dps_simulation::scenario::ScenarioError> {
    let mut scenario = match &options.scenario {
        Some(path) => Scenario::read(path)?,
        None => Scenario::default(),
    };
    scenario.domains = options.domains.unwrap_or(scenario.domains);
    scenario.days = options.days.unwrap_or(scenario.days);
    scenario.check()?;
    Ok(scenario)
}

fn play(scenario: &Scenario, seed: u64, began: Instant) -> std::io::Result<Outcome> {
    let policy = Settings::default().policy();
    let mut next_line = BETWEEN_LINES;
    dps_simulation::run(scenario, seed, policy, &mut |progress| {
        let real = began.elapsed();
        if real >= next_line {
            next_line = real + BETWEEN_LINES;
            eprintln!("{}", line(progress, real));
        }
    })
}

fn line(progress: Progress, real: Duration) -> String {
    format!(
        "day {} of {}: {} orders, {} domains served, {} s",
        progress.day,
        progress.days,
        grouped(progress.orders),
        grouped(progress.served.into()),
        real.as_secs()
    )
}

/// What the run took on this machine. Apart from the outcome, which is the same everywhere.
fn cost(real: Duration) -> String {
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    let memory = kib.map_or(String::new(), |kib| {
        format!(" and {} MiB of memory", grouped(kib / 1024))
    });
    format!("took {:.1} s{memory}", real.as_secs_f64())
}

/// A file of the outcome, written beside its place and put there whole.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = unfinished(path);
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Before a long run: whether its outcome can be written where it shall be.
fn prepare(options: &Simulate) -> anyhow::Result<()> {
    if let Some(directory) = &options.out {
        std::fs::create_dir_all(directory).with_context(|| {
            format!(
                "--out: the directory {} cannot be made; name another",
                directory.display()
            )
        })?;
        probe("--out", &directory.join("outcome.txt"))?;
    }
    options
        .svg
        .as_deref()
        .map_or(Ok(()), |path| probe("--svg", path))
}

fn probe(option: &str, path: &Path) -> anyhow::Result<()> {
    let new = unfinished(path);
    anyhow::ensure!(
        !path.is_dir(),
        "{option}: {} is a directory; name a file in it",
        path.display()
    );
    std::fs::write(&new, "")
        .and_then(|()| std::fs::remove_file(&new))
        .with_context(|| {
            format!(
                "{option}: {} cannot be written; name another place",
                path.display()
            )
        })
}

fn save(options: &Simulate, outcome: &Outcome) -> anyhow::Result<()> {
    let svg = || draw::page(outcome).to_svg();
    if let Some(directory) = &options.out {
        write(&directory.join("outcome.txt"), &outcome.to_text())?;
        write(
            &directory.join("outcome.json"),
            &outcome.to_json().to_string(),
        )?;
        write(&directory.join("outcome.svg"), &svg())?;
    }
    options
        .svg
        .as_deref()
        .map_or(Ok(()), |path| write(path, &svg()))
}
