//! `dps-simulate`: the service in virtual time.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use dps_application::Policy;
use dps_host::exit::{FAILURE, UNUSABLE};
use dps_simulation::outcome::grouped;
use dps_simulation::scenario::ScenarioError;
use dps_simulation::{Outcome, Progress, Scenario, draw};

/// A fifth less time for a fleet than with the allocator of glibc: steps are many small pieces that
/// live shortly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pause between two lines of progress, in real time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Simulate the service in virtual time, with limits, outages and revocations of the CA.
///
/// Workers, steps and ledger are those of `dps run`; models replace everything around them. The
/// exit code is 0 if every promise held, 1 if one did not, and 2 if the scenario cannot be used.
#[derive(Debug, Clone, Parser)]
#[command(name = "dps-simulate", version, max_term_width = 100)]
struct Simulate {
    /// Scenario to play; without it, domains arrive and are renewed
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Number of domains instead of the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    domains: Option<u32>,
    /// Number of virtual days instead of the scenario's
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: Option<u32>,
    /// Seed of the random numbers; the same seed gives the same run, to the last byte
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write outcome.txt, outcome.json and outcome.svg into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw the run as SVG into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the outcome with its hourly figures as JSON instead of text
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Simulate::parse();
    let scenario = match usable(&options) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(UNUSABLE);
        }
    };
    match simulate(&options, &scenario) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

/// The scenario, if it can be played and its outcome written where it shall be.
fn usable(options: &Simulate) -> anyhow::Result<Scenario> {
    let scenario = scenario(options)?;
    prepare(options)?;
    Ok(scenario)
}

/// Plays the scenario and writes its outcome. Returns whether everything held.
fn simulate(options: &Simulate, scenario: &Scenario) -> anyhow::Result<bool> {
    let began = Instant::now();
    let outcome = play(scenario, options.seed, began)?;
    eprintln!("{}", cost(began.elapsed()));
    save(options, &outcome)?;
    let text = if options.json {
        format!("{}\n", outcome.to_json())
    } else {
        outcome.to_text()
    };
    print(&text)?;
    Ok(outcome.is_good())
}

/// Writes text to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The exit code says more than a reader that has left, as in `dps-simulate | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output cannot be written"),
    }
}

fn scenario(options: &Simulate) -> Result<Scenario, ScenarioError> {
    let mut scenario = match &options.scenario {
        Some(path) => Scenario::read(path)?,
        None => Scenario::default(),
    };
    scenario.domains = options.domains.unwrap_or(scenario.domains);
    scenario.days = options.days.unwrap_or(scenario.days);
    scenario.check()?;
    Ok(scenario)
}

fn play(scenario: &Scenario, seed: u64, began: Instant) -> io::Result<Outcome> {
    let policy = Policy::default();
    let mut next_line = PROGRESS_INTERVAL;
    dps_simulation::run(scenario, seed, policy, &mut |progress| {
        let real = began.elapsed();
        if real >= next_line {
            next_line = real + PROGRESS_INTERVAL;
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

/// Duration of the run and, where `/proc` shows it, its peak memory. Apart from the outcome, which
/// is the same on every machine.
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
        .with_context(|| format!("cannot write {}", path.display()))
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
                "--out: cannot create the directory {}; name another",
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
                "{option}: cannot write {}; name another file",
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
