//! One action on many domains: its preview, the job that does it, and `dps jobs`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Job as Document, JobPreview, Jobs};
use dps_application::operator::jobs::{JobRequest, Preview, begin, cancel, preview};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::fleet::{DomainFilter, FilterParts};
use dps_domain::job::{DomainAction, Job, JobState};
use dps_domain::limits::Limit;
use dps_domain::{DomainId, JobId, Timestamp};
use dps_host::HumanDuration;
use serde_json::json;

use super::act::{Author, ClaimArgs, Why};
use super::filter::{FilterOptions, check_edge};
use super::output::outln;

/// Greatest pace, in domains per hour.
pub const MAX_PACE: u32 = 1_000_000;
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
    /// Print JSON: the preview, then the job once a second
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
        filter != DomainFilter::default() || self.all || self.yes || self.json || is_bounded
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
    store: &dyn CertificateStore,
    action: DomainAction,
    options: OnDomains,
    orders: Limit,
    now: Timestamp,
) -> anyhow::Result<()> {
    let filter = options.filter.filter();
    if (filter == DomainFilter::default()) != options.all {
        anyhow::bail!("give a hostname, or options that choose domains, or --all alone");
    }
    check_edge(store, &filter).await?;
    let request = JobRequest {
        action,
        filter,
        pace: options.pace,
        most: options.limit,
    };
    let found = preview(store, now, &request, orders).await?;
    print_preview(&wire_preview(&request, &found), options.json)?;
    if !options.yes {
        eprintln!("Nothing was done. Repeat the command with --yes to act.");
        return Ok(());
    }
    let author = Author::of_command(options.why);
    let job = begin(store, author.requester(), now, &request, found.domains).await?;
    eprintln!(
        "The service does the job {}. To stop it: dps jobs cancel {}",
        job.id, job.id
    );
    follow(store, job, options.json).await
}

/// Runs `dps jobs`.
pub async fn jobs(
    store: &dyn CertificateStore,
    command: JobsCommand,
    now: Timestamp,
) -> anyhow::Result<()> {
    match command {
        JobsCommand::List {
            before,
            limit,
            json,
        } => list(store, before, limit, json).await,
        JobsCommand::Show {
            id,
            follow: stays,
            json,
        } => {
            let job = store.job(id).await?;
            let job = job.ok_or_else(|| anyhow::anyhow!("no job {id} is known"))?;
            if stays {
                return follow(store, job, json).await;
            }
            print(&job, json)
        }
        JobsCommand::Cancel { id, why } => {
            let author = Author::of_command(why);
            let job = cancel(store, author.requester(), now, id).await?;
            print(&job, false)
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
async fn follow(store: &dyn CertificateStore, mut job: Job, as_json: bool) -> anyhow::Result<()> {
    let is_terminal = std::io::stderr().is_terminal();
    while job.progress.state == JobState::Running {
        if as_json {
            outln!("{}", json!(wire(&job)))?;
        } else if is_terminal {
            eprint!("\r\x1b[K{}", in_words(&job));
            std::io::stderr().flush()?;
        } else {
            eprintln!("{}", in_words(&job));
        }
        tokio::time::sleep(INTERVAL).await;
        let Some(fresh) = store.job(job.id).await? else {
            break;
        };
        job = fresh;
    }
    if is_terminal && !as_json {
        eprintln!();
    }
    print(&job, as_json)
}

fn print(job: &Job, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        outln!("{}", json!(wire(job)))?;
    } else {
        outln!("{}", in_words(job))?;
    }
    Ok(())
}

fn in_words(job: &Job) -> String {
    let progress = &job.progress;
    let (state, acted, refused) = (progress.state.as_str(), progress.acted, progress.refused);
    format!(
        "{} {}: {acted} of {} done, {refused} refused by their state",
        job.action.as_str(),
        state,
        job.expected
    )
}

async fn list(
    store: &dyn CertificateStore,
    before: Option<JobId>,
    limit: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let page = page(store, before, limit).await?;
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

/// A page of jobs, as programs read it.
pub async fn page(
    store: &dyn CertificateStore,
    before: Option<JobId>,
    limit: u32,
) -> Result<Jobs, StoreError> {
    let found = store.jobs(before, limit).await?;
    let items: Vec<Document> = found.iter().map(wire).collect();
    let is_full = items.len() >= limit as usize;
    let next = items.last().map(|last| last.id.clone());
    Ok(Jobs {
        next: next.filter(|_| is_full),
        items,
    })
}

/// A preview as programs read it.
pub fn wire_preview(request: &JobRequest, preview: &Preview) -> JobPreview {
    let (sample, statuses) = (preview.sample.iter(), preview.statuses.iter());
    JobPreview {
        action: request.action.as_str().to_owned(),
        filter: FilterParts::from(&request.filter).to_string(),
        statuses: statuses
            .map(|(status, domains)| (status.as_str().to_owned(), *domains))
            .collect(),
        domains: preview.domains,
        sample: sample.map(|record| record.hostname.to_string()).collect(),
        certificates: preview.certificates.clone(),
        takes_seconds: preview.takes.as_secs(),
    }
}

/// A job as programs read it.
pub fn wire(job: &Job) -> Document {
    let progress = &job.progress;
    let runs = progress.state == JobState::Running;
    Document {
        id: job.id.to_string(),
        action: job.action.as_str().to_owned(),
        filter: FilterParts::from(&job.filter).to_string(),
        state: progress.state.as_str().to_owned(),
        who: job.who.clone(),
        reason: job.reason.clone(),
        pace_per_hour: job.pace,
        limit: job.most,
        expected: job.expected,
        acted: progress.acted,
        refused: progress.refused,
        created_at: job.created_at,
        due_at: Some(progress.due_at).filter(|_| runs),
        ended_at: progress.ended_at,
    }
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
