//! One action on many domains: its preview, the job that does it, and `dps jobs`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Job, JobPreview};
use dps_application::operator::jobs::JobRequest;
use dps_domain::fleet::DomainFilter;
use dps_domain::job::{DomainAction, JobState};
use dps_domain::{DomainId, JobId};
use dps_host::HumanDuration;
use serde_json::json;

use super::act::{ClaimArgs, Why};
use super::calls::AdminCalls;
use super::filter::FilterOptions;
use super::output::outln;
use crate::documents::jobs::MAX_PACE;

/// Time between two looks at the progress of a job.
const INTERVAL: Duration = Duration::from_secs(1);

/// One domain, or many and how they are worked off.
#[derive(Debug, Args)]
pub struct OnDomains {
    /// The hostname of one domain; without it, options choose many
    pub host: Option<String>,
    /// Identifier of the domain, where several claim the hostname; --tenant names one as well
    #[arg(long, value_name = "ID", requires = "host")]
    pub id: Option<DomainId>,
    /// The domains
    #[command(flatten)]
    pub filter: Box<FilterOptions>,
    /// All domains
    #[arg(long)]
    pub all: bool,
    /// Most domains in an hour, such as 500/h
    #[arg(long, value_name = "N/h", value_parser = pace)]
    pub pace: Option<u32>,
    /// Most domains in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Act on many domains; without it, only a preview is shown
    #[arg(long)]
    pub yes: bool,
    /// Print JSON; of many domains the preview, then the job once a second
    #[arg(long)]
    pub json: bool,
    /// The reason
    #[command(flatten)]
    pub why: Why,
}

impl OnDomains {
    /// Takes the options that say which claim of the hostname is meant.
    pub fn take_claim(&mut self) -> ClaimArgs {
        ClaimArgs {
            id: self.id.take(),
            tenant: self.filter.take_tenant(),
        }
    }

    /// Whether an option is given that is for many domains.
    pub fn chooses_many(&self) -> bool {
        let filter = self.filter.as_ref().clone().filter();
        let is_bounded = self.pace.is_some() || self.limit.is_some();
        filter != DomainFilter::default() || self.all || self.yes || is_bounded
    }
}

/// `dps jobs …`.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List the jobs, the newest first
    List {
        /// Continue after the last job of an earlier list
        #[arg(long, value_name = "ID")]
        before: Option<JobId>,
        /// Largest number of jobs
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON, a job on each line, instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one job and its progress
    Show {
        /// The identifier
        id: JobId,
        /// Show the progress until the job ends
        #[arg(long)]
        follow: bool,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Cancel a job that runs; what it did stays
    Cancel {
        /// The identifier
        id: JobId,
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// Parses a pace: domains per hour.
fn pace(text: &str) -> Result<u32, String> {
    let number = text
        .strip_suffix("/h")
        .and_then(|number| number.parse::<u32>().ok());
    let number = number.filter(|number| (1..=MAX_PACE).contains(number));
    number.ok_or_else(|| format!("write a number from 1 to {MAX_PACE} and /h, such as 500/h"))
}

/// Shows what a job would do, and begins it if the operator said yes.
pub async fn run(
    calls: &dyn AdminCalls,
    action: DomainAction,
    options: OnDomains,
) -> anyhow::Result<()> {
    let filter = options.filter.filter();
    if (filter == DomainFilter::default()) != options.all {
        anyhow::bail!("give a hostname, or options that choose domains, or --all alone");
    }
    let request = JobRequest {
        action,
        filter,
        pace: options.pace,
        most: options.limit,
    };
    let found = calls.preview_job(&request).await?;
    print_preview(&found, options.json)?;
    if !options.yes {
        eprintln!("Nothing was done. Repeat the command with --yes to act.");
        return Ok(());
    }
    let reason = options.why.reason.as_deref();
    let job = calls.begin_job(&request, found.domains, reason).await?;
    eprintln!(
        "The service does the job {}. To stop it: dps jobs cancel {}",
        job.id, job.id
    );
    follow(calls, job, options.json).await
}

/// Runs `dps jobs`.
pub async fn jobs(calls: &dyn AdminCalls, command: JobsCommand) -> anyhow::Result<()> {
    match command {
        JobsCommand::List {
            before,
            limit,
            json,
        } => list(calls, before, limit, json).await,
        JobsCommand::Show {
            id,
            follow: stays,
            json,
        } => {
            let job = calls.job(id).await?;
            if stays {
                return follow(calls, job, json).await;
            }
            print(&job, json)
        }
        JobsCommand::Cancel { id, why, json } => {
            let job = calls.cancel_job(id, why.reason.as_deref()).await?;
            print(&job, json)
        }
    }
}

fn print_preview(preview: &JobPreview, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        outln!("{}", json!(preview))?;
        return Ok(());
    }
    let (action, filter) = (&preview.action, &preview.filter);
    outln!("{action} of {} domains ({filter})", preview.domains)?;
    let statuses = preview.statuses.iter();
    let statuses: Vec<String> = statuses
        .map(|(status, n)| format!("{status} {n}"))
        .collect();
    if !statuses.is_empty() {
        outln!("By status: {}", statuses.join(", "))?;
    }
    let named = |host: &&String| !preview.certificates.contains_key(*host);
    for host in preview.sample.iter().filter(named) {
        outln!("  {host}")?;
    }
    for (host, serial) in &preview.certificates {
        outln!("  {host}: certificate {serial}")?;
    }
    let others = preview.domains.saturating_sub(preview.sample.len() as u64);
    if others > 0 {
        outln!("  and {others} others")?;
    }
    outln!(
        "It takes {} or more.",
        HumanDuration::from_secs(preview.takes_seconds)
    )?;
    Ok(())
}

/// Shows the progress until the job ends: on one line of a terminal, or on a line each second.
async fn follow(calls: &dyn AdminCalls, mut job: Job, as_json: bool) -> anyhow::Result<()> {
    let id: JobId = job.id.parse()?;
    let is_terminal = std::io::stderr().is_terminal();
    while job.state == JobState::Running.as_str() {
        if as_json {
            outln!("{}", json!(job))?;
        } else if is_terminal {
            eprint!("\r\x1b[K{}", in_words(&job));
            std::io::stderr().flush()?;
        } else {
            eprintln!("{}", in_words(&job));
        }
        tokio::time::sleep(INTERVAL).await;
        job = calls.job(id).await?;
    }
    if is_terminal && !as_json {
        eprintln!();
    }
    print(&job, as_json)
}

fn print(job: &Job, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        outln!("{}", json!(job))?;
    } else {
        outln!("{}", in_words(job))?;
    }
    Ok(())
}

fn in_words(job: &Job) -> String {
    let (acted, refused) = (job.acted, job.refused);
    format!(
        "{} {}: {acted} of {} done, {refused} refused by their state",
        job.action, job.state, job.expected
    )
}

async fn list(
    calls: &dyn AdminCalls,
    before: Option<JobId>,
    limit: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let page = calls.jobs(before, limit).await?;
    if as_json {
        for job in page.items {
            outln!("{}", json!(job))?;
        }
        if let Some(next) = page.next {
            eprintln!("There may be more; continue with --before {next}");
        }
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "id", "begun", "by", "action", "of", "state", "done", "refused",
    ]);
    for job in page.items {
        table.add_row([
            job.id,
            job.created_at.to_string(),
            job.who,
            job.action,
            job.filter,
            job.state,
            format!("{} of {}", job.acted, job.expected),
            job.refused.to_string(),
        ]);
    }
    outln!("{table}")?;
    if let Some(next) = page.next {
        outln!("There may be more; continue with --before {next}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_number_of_domains_per_hour() {
        assert_eq!(pace("500/h"), Ok(500));
        for wrong in ["500", "0/h", "1000001/h", "5/m", "-1/h", "/h", ""] {
            assert!(
                pace(wrong).unwrap_err().contains("such as 500/h"),
                "{wrong}"
            );
        }
    }
}
