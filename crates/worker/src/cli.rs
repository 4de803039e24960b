//! The command line of `dps`: its commands, options and help texts. The modules below run them.

pub mod account;
pub mod act;
pub mod activity;
pub mod backup;
pub mod bulk;
pub mod calls;
pub mod config;
pub mod diagnose;
pub mod doctor;
pub mod domains;
pub mod edges;
pub mod explain;
pub mod filter;
pub mod fleet;
pub mod issuance;
pub mod limits;
pub mod output;
pub mod pki;
pub mod removals;
pub mod revoke;
pub mod shell;
pub mod store_size;
pub mod tenants;
pub mod webhooks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use dps_domain::ActionId;

use self::act::{ClaimArgs, Why};
use self::bulk::{JobsCommand, OnDomains};
use self::calls::ServerArgs;
use self::filter::FilterArgs;
use self::revoke::Revoke;
use crate::config::Role;
use crate::documents::fleet::By;

/// Custom domains with certificates, from the DNS check to every HAProxy edge.
///
/// The service takes a customer's hostname from "created in the Cabinet" to "served over HTTPS by
/// every edge". The steps are DNS check, HTTP probe, ACME HTTP-01, deployment without a reload, and
/// renewal.
///
/// New here? `dps demo` shows it all on this machine. `dps config sample` prints a commented
/// configuration.
#[derive(Debug, Parser)]
#[command(name = "dps", version, max_term_width = 100)]
#[command(
    after_help = after_help()
)]
pub struct Cli {
    /// Configuration file instead of ./appsettings.json
    ///
    /// The file of the environment beside it is read as well: in the environment Staging,
    /// dps.Staging.json beside dps.json.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: take in domains, order certificates, deploy and renew them
    Run(Run),
    /// Run the agent: the sidecar that applies certificates to HAProxy on this machine
    Agent,
    /// Run the reference Cabinet: the API in which customers' domains are created
    Cabinet,
    /// Run the service, the agent and the Cabinet in one process on one machine
    Standalone,
    /// Show everything on this machine, with a test CA, a DNS server and HAProxy on loopback
    Demo(Demo),
    /// Migrate the database to the schema of this version (`dps run` does so at its start)
    Migrate,
    /// Copy the database and the keys to a new folder while the service runs, and check the copy
    ///
    /// The copy holds the CertificateStore, its key-encryption keys, the database of the reference
    /// Cabinet if there is one, and the token that `dps standalone` made. Protect it as you protect
    /// the original, since it holds keys.
    ///
    /// To restore SQLite, stop the service and put the files back in their places with mode 0600.
    ///
    /// PostgreSQL needs `pg_dump` of the server's version or a newer one. To restore, stop the
    /// service, run `pg_restore --no-owner` into an empty database, and put the key file back.
    Backup {
        /// The folder to create; it must not exist yet
        folder: PathBuf,
        /// Path of `pg_dump`, with `pg_restore` beside it, instead of the programs in PATH
        #[arg(long, value_name = "FILE")]
        pg_dump: Option<PathBuf>,
    },
    /// List, count and show domains; retry, renew, check, pause and resume one or many
    #[command(subcommand)]
    Domains(Domains),
    /// Explain from what is stored where a domain stands, who must act, and what is next
    ///
    /// Nothing is queried: it says what was observed, and when. `dps diagnose` checks now.
    Explain {
        /// The hostname
        host: String,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Check a domain now: DNS, CAA records, the path to it, account, limits and every edge
    ///
    /// Nothing is ordered, and nothing of the domain is written. The first check that is not OK is
    /// the one to act on. It takes 10 seconds at most, and needs the settings of `dps run`. The
    /// service and its commands make five diagnoses a minute, and one of a domain at a time.
    Diagnose {
        /// The hostname
        host: String,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Check what the service needs: settings, store, CA, clock, Cabinet and agents
    ///
    /// The checks are those of `dps config check` and of readiness, made now. Each that fails names
    /// what to mend. The exit code is 2 if the settings cannot be used, and 1 if another check
    /// fails. It needs the settings of `dps run`.
    Doctor {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show the fleet in numbers: what needs attention, domains by status, and causes of failures
    ///
    /// Changes are since the counts of a day ago, which the service keeps for each hour of 30 days.
    Fleet {
        /// Print JSON instead of tables
        #[arg(long)]
        json: bool,
    },
    /// Show the state of every edge, approve one that was found by DNS, or compare one now
    #[command(args_conflicts_with_subcommands = true)]
    Edges {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
        /// The command to run instead of showing them
        #[command(subcommand)]
        command: Option<Edges>,
    },
    /// Show today's removals, or approve removals that are held back
    #[command(subcommand)]
    Removals(Removals),
    /// Show the remaining limits of the CA, or lift a wait
    #[command(subcommand)]
    Limits(Limits),
    /// Pause and resume the placing of orders, for everything, a tenant or a hostname
    #[command(subcommand)]
    Issuance(issuance::Issuance),
    /// List, show and cancel jobs: actions on many domains, which the service works off
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// List the actions of operators, the newest first: who did what, when and why
    ///
    /// Actions of the command line and of the admin API are kept for 400 days.
    Activity {
        /// Continue after the last action of an earlier list
        #[arg(long, value_name = "ID")]
        before: Option<ActionId>,
        /// Largest number of actions
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON, an action on each line, instead of a table
        #[arg(long)]
        json: bool,
    },
    /// List tenants with their domains, and show one with its pauses and limits
    #[command(subcommand)]
    Tenants(Tenants),
    /// Show the account at the configured CA, with its limits
    Account {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// List the receivers of events with their deliveries, or deliver events again
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Show how large the CertificateStore is, and how large it will be in a year
    #[command(subcommand)]
    Store(Storage),
    /// List and rotate the keys that encrypt the private keys in the store
    #[command(subcommand)]
    Keys(Keys),
    /// Create and renew the certificates for mutual TLS between service and agents
    #[command(subcommand)]
    Pki(pki::Pki),
    /// Check the configuration, plan a change of it, or print a sample
    #[command(subcommand)]
    Config(Config),
    /// Print a script that completes commands and options in a shell
    ///
    /// For bash: `dps completions bash > /etc/bash_completion.d/dps`. Other shells have such a
    /// folder too.
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual pages of all commands into a folder
    ///
    /// For example `dps man /usr/local/share/man/man1`.
    Man {
        /// The folder; it is created if it is missing
        folder: PathBuf,
    },
}

impl Command {
    /// Whether the command reads the fleet or acts on it, so that a server can do it.
    pub const fn is_of_fleet(&self) -> bool {
        matches!(
            self,
            Self::Domains(_)
                | Self::Explain { .. }
                | Self::Diagnose { .. }
                | Self::Fleet { .. }
                | Self::Edges { .. }
                | Self::Removals(_)
                | Self::Limits(_)
                | Self::Issuance(_)
                | Self::Jobs(_)
                | Self::Activity { .. }
                | Self::Tenants(_)
                | Self::Account { .. }
                | Self::Webhooks(_)
        )
    }
}

/// `dps run`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Run {
    /// While the settings cannot be used, stay up, report the problems on /health, and read the
    /// settings again every few seconds
    ///
    /// For containers. Without this option, the process ends with exit code 2.
    #[arg(long)]
    pub wait_for_configuration: bool,
}

/// `dps demo`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Demo {
    /// End after the last scene instead of staying up
    #[arg(long)]
    pub once: bool,
    /// Print the result as one JSON object on the last line
    #[arg(long)]
    pub json: bool,
    /// Domains that are added for the dashboard after the last scene; 200 unless --once is given
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=2_000))]
    pub domains: Option<u32>,
    /// Fault that is played at the end, for a minute; with --once for 5 seconds
    #[arg(long)]
    pub fault: Option<crate::demo::Fault>,
}

/// `dps domains …`.
#[derive(Debug, Subcommand)]
pub enum Domains {
    /// List the domains to which every option applies
    ///
    /// They are ordered by hostname, with --suffix by its labels from the right. Without --name,
    /// --suffix and --tenant, other options have their own order. --code, --actor and a --status
    /// other than Active order by status, actor and code. Without these, --expires-within orders by
    /// the end of the certificate.
    List {
        /// The domains
        #[command(flatten)]
        filter: Box<FilterArgs>,
        /// Start where an earlier list with the same options ended, or after this hostname
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
        /// Largest number of domains
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON, a domain on each line, instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Count the domains to which every option applies
    Count {
        /// The domains
        #[command(flatten)]
        filter: Box<FilterArgs>,
        /// Count them in groups
        #[arg(long, value_enum)]
        by: Option<By>,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one domain: its state, its last failure with the remedy, and its history
    Show {
        /// The hostname
        host: String,
        /// The claim
        #[command(flatten)]
        which: ClaimArgs,
        /// Number of lines of its history to show, counted from the newest
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        events: u32,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Make the next step of domains due now
    ///
    /// With options instead of a hostname, a preview says what would be done to how many. With
    /// --yes the service does it in batches, also after this command has ended.
    Retry(OnDomains),
    /// Renew certificates now, regardless of their age, each with a new key
    ///
    /// Certificates are served until they are replaced. Many are previewed first, as with retry.
    #[command(visible_alias = "reissue")]
    Renew(OnDomains),
    /// Check now whether the DNS and CAA records of live domains are still right
    ///
    /// Many are previewed first, as with retry.
    Recheck(OnDomains),
    /// Revoke certificates at the CA, and replace those that are served with new keys at once
    ///
    /// The reason is key-compromise, superseded, cessation-of-operation or unspecified. After
    /// key-compromise, the key is erased as soon as no live edge needs it. A preview names the
    /// certificate; --yes revokes it, which cannot be undone. Many are previewed first, as with
    /// retry.
    #[command(mut_arg("reason", revoke::as_reason))]
    Revoke(Revoke),
    /// Place no orders for hostnames until they are resumed, not even for renewals
    ///
    /// Many are previewed first, as with retry. `dps issuance pause` pauses a tenant or everything.
    Pause(OnDomains),
    /// End the pauses of hostnames
    ///
    /// Many are previewed first, as with retry.
    Resume(OnDomains),
}

/// `dps removals …`.
#[derive(Debug, Clone, Subcommand)]
pub enum Removals {
    /// Show the number of today's removals, and whether further ones are approved
    Show {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Approve all removals for one day
    ///
    /// The service holds back more removals than a day usually brings, because a fault of the
    /// Cabinet may have caused them. Check the Cabinet first.
    Approve {
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// `dps edges …`.
#[derive(Debug, Subcommand)]
pub enum Edges {
    /// Approve an edge that was found by DNS; the service then sends it certificates and keys
    Approve {
        /// The edge's URL, as `dps edges` prints it
        url: String,
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Compare an edge with what it should hold now; the service sends it what it lacks
    Compare {
        /// The edge's URL, as `dps edges` prints it
        url: String,
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// `dps limits …`.
#[derive(Debug, Subcommand)]
pub enum Limits {
    /// List the limits of the configured CA that are partly used or waited for
    Show {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Forget the uses of a limit and the CA's waits for it, and wake the domains that wait
    ///
    /// Use it after the CA named a wait by mistake or raised a limit. If the CA refuses a request
    /// again, the service waits again.
    Lift {
        /// The limit, as `dps limits show` prints it
        limit: String,
        /// Only for this name; for all names if absent
        name: Option<String>,
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// `dps tenants …`.
#[derive(Debug, Clone, Subcommand)]
pub enum Tenants {
    /// List the tenants by identifier, with their domains by status
    List {
        /// Continue after this tenant
        #[arg(
            long,
            value_name = "TENANT",
            default_value = "",
            hide_default_value = true
        )]
        after: String,
        /// Largest number of tenants
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON, a tenant on each line, instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one tenant: its domains by status, its pauses and its limits
    Show {
        /// The tenant
        tenant: String,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// `dps webhooks …`.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// List the receivers of events: pending events, events that were given up, last success
    List {
        /// Print JSON, a receiver on each line, instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Deliver events again that were delivered or given up in the last 14 days
    ///
    /// They keep their identifiers, and those of a domain go in their order.
    Redeliver(webhooks::Redeliver),
}

/// `dps store …`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Storage {
    /// Show rows and bytes of every table, and the growth in a year with as many domains as now
    ///
    /// Rows are counted. Bytes include indexes. They come from `pg_total_relation_size` on
    /// PostgreSQL, or from the pages of a SQLite file, which are all read: that takes seconds for
    /// each gigabyte. The growth follows from the lifetime of the served certificates
    /// and from the times for which rows are kept. A domain that is not served counts with as many
    /// lines of history as a domain can have. Tables that depend on what operators, customers and
    /// receivers of webhooks do are shown as they are now.
    Size {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// `dps keys …`.
#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    /// List the identifiers of the key-encryption keys, the current one first
    List {
        /// Print JSON, a key on each line, instead of text
        #[arg(long)]
        json: bool,
    },
    /// Encrypt every stored private key again under the current key, while the service runs
    ///
    /// A service knows only the keys that it started with. Therefore put the new key before the old
    /// one, restart every service, rotate, and then remove the old key. A service that was not
    /// restarted cannot open the rotated keys, and retries until it is restarted.
    Rotate {
        /// The reason
        #[command(flatten)]
        why: Why,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// `dps config …`.
#[derive(Debug, Clone, Subcommand)]
pub enum Config {
    /// Print every effective setting with its origin, and every problem (exit code 2 if any)
    Check {
        /// The role for which to check
        #[arg(long, value_enum, default_value_t)]
        role: Role,
        /// Print JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Say whose state another configuration would touch, without changing anything
    ///
    /// The settings of NEW in place of the present file, with the same environment, are compared
    /// with those in force. The output names the settings that differ with the process to restart,
    /// and counts the domains, tenants, edges, certificates and events that each change touches.
    /// It also names the steps that come first, such as a migration. Every record of the store is
    /// read once. The exit code is 0 with a plan, 1 if the store fails, and 2 if one of the two
    /// configurations cannot be used. The errors are those of `dps config check`.
    Plan {
        /// The new configuration file
        new: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration with a comment for every key
    Sample,
}

/// The end of `dps --help`.
fn after_help() -> String {
    format!(
        "The configuration is read from appsettings.json in the current directory and from environment \
         variables such as CabinetApi__BaseUrl. `dps config check` prints the effective \
         settings.\n\nWith --server URL, the commands that read the fleet or act on it call the admin API \
         of a running service instead; they need a token and no database.\n\n{}",
        dps_host::exit::TABLE
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    /// Set to any value, this variable makes the test write the page instead of comparing it.
    const REWRITE: &str = "DPS_REWRITE_HELP";

    const HEAD: &str = "# Commands

The output of `--help` for each command of `dps`. A test compares this page with the program;
`DPS_REWRITE_HELP=1 cargo test -p dps-worker --lib help` writes it.
";

    fn help(command: &mut clap::Command) -> String {
        command.render_long_help().to_string()
    }

    #[test]
    fn the_command_line_is_well_formed_and_every_command_has_a_sentence_of_help() {
        fn visit(command: &clap::Command) {
            assert!(
                command.get_about().is_some(),
                "{} has no help",
                command.get_name()
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(visit);
        }
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            visit(sub);
        }
        let text = help(&mut command);
        for name in [
            "run",
            "agent",
            "cabinet",
            "standalone",
            "demo",
            "migrate",
            "backup",
            "domains",
            "explain",
            "diagnose",
            "doctor",
            "fleet",
            "edges",
            "removals",
            "limits",
            "issuance",
            "jobs",
            "activity",
            "tenants",
            "account",
            "webhooks",
            "store",
            "keys",
            "pki",
            "config",
            "completions",
            "man",
        ] {
            assert!(
                text.contains(&format!("\n  {name} ")),
                "{name} is missing in {text}"
            );
        }
    }

    /// Commands without `--json`, and why.
    const WITHOUT_JSON: [(&str, &str); 9] = [
        (
            "dps run",
            "runs until it is stopped; its log has a JSON format",
        ),
        (
            "dps agent",
            "runs until it is stopped; its log has a JSON format",
        ),
        (
            "dps cabinet",
            "runs until it is stopped; its log has a JSON format",
        ),
        (
            "dps standalone",
            "runs until it is stopped; its log has a JSON format",
        ),
        ("dps migrate", "the exit code says all"),
        (
            "dps backup",
            "writes a folder; the exit code says whether the copy is whole",
        ),
        ("dps config sample", "prints a file"),
        ("dps completions", "prints a file"),
        ("dps man", "writes files; the exit code says the rest"),
    ];

    #[test]
    fn every_command_offers_json_or_is_excepted_with_a_reason() {
        fn visit(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            let subs: Vec<&clap::Command> = command.get_subcommands().collect();
            let runs = subs.is_empty() || !command.is_subcommand_required_set();
            let mut options = command.get_arguments();
            if runs && !options.any(|option| option.get_long() == Some("json")) {
                without.push(path.to_owned());
            }
            for sub in subs {
                if sub.get_name() != "help" {
                    visit(sub, &format!("{path} {}", sub.get_name()), without);
                }
            }
        }
        let mut command = Cli::command();
        command.build();
        let mut without = Vec::new();
        visit(&command, "dps", &mut without);
        let excepted = WITHOUT_JSON.map(|(path, reason)| {
            assert!(!reason.is_empty(), "{path}");
            path.to_owned()
        });
        without.sort();
        let mut excepted = Vec::from(excepted);
        excepted.sort();
        assert_eq!(without, excepted);
    }

    /// The page, as the commands' definitions give it.
    fn page() -> String {
        fn add(page: &mut String, command: &mut clap::Command, path: &str) {
            page.extend(["\n## `", path, "`\n\n```text\n"]);
            let text = command.render_long_help().to_string();
            page.extend(text.lines().map(|line| format!("{}\n", line.trim_end())));
            page.push_str("```\n");
            for sub in command.get_subcommands_mut() {
                if sub.get_name() != "help" {
                    let path = format!("{path} {}", sub.get_name());
                    add(page, sub, &path);
                }
            }
        }
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut page = HEAD.to_owned();
        add(&mut page, &mut command, "dps");
        page
    }

    #[test]
    fn the_help_of_every_command_is_the_one_on_the_page() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/commands.md");
        if std::env::var_os(REWRITE).is_some() {
            return std::fs::write(path, page()).unwrap();
        }
        let (written, made) = (std::fs::read_to_string(path).unwrap(), page());
        for (written, made) in written.lines().zip(made.lines()) {
            assert_eq!(
                written, made,
                "run this test with {REWRITE}=1 if this is meant"
            );
        }
        assert_eq!(written, made);
    }

    #[test]
    fn the_configuration_file_can_be_named_before_or_after_the_command() {
        for line in [
            ["dps", "--config", "x.json", "run"],
            ["dps", "run", "--config", "x.json"],
        ] {
            assert_eq!(
                Cli::parse_from(line).config.unwrap(),
                PathBuf::from("x.json")
            );
        }
        let cli = Cli::parse_from(["dps", "demo", "--once", "--json"]);
        assert!(matches!(
            cli.command,
            Command::Demo(Demo {
                once: true,
                json: true,
                domains: None,
                fault: None,
            })
        ));
        assert!(Cli::try_parse_from(["dps", "domains", "list", "--limit", "0"]).is_err());
    }
}
