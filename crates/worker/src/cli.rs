//! The command line of `dps`: what can be asked, with the help texts. What each command does is
//! elsewhere.

pub mod backup;
pub mod config;
pub mod domains;
pub mod edges;
pub mod limits;
pub mod output;
pub mod pki;
pub mod removals;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Role;

/// Custom domains with certificates, from DNS check to every HAProxy edge.
///
/// A customer's hostname goes from "created in the Cabinet" to "served over HTTPS by every edge",
/// and stays there: DNS check, HTTP preflight, ACME HTTP-01, deployment without reload, renewal.
///
/// New here? `dps demo` shows the whole of it on this machine. `dps config sample` prints a
/// commented configuration.
#[derive(Debug, Parser)]
#[command(name = "dps", version, max_term_width = 100)]
#[command(
    after_help = after_help()
)]
pub struct Cli {
    /// Configuration file instead of ./appsettings.json
    ///
    /// Its sibling for the environment applies too: for dps.json in the environment Staging,
    /// dps.Staging.json.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: take domains in, have certificates issued, deploy and renew them
    Run(Run),
    /// Run the agent: the sidecar that applies certificates to the HAProxy on this machine
    Agent,
    /// Run the reference Cabinet: the API that customers' domains are created in
    Cabinet,
    /// Run service, agent and Cabinet in one process, for one machine
    Standalone,
    /// Show the whole on this machine, with a test CA, a DNS server and HAProxy, all on loopback
    Demo(Demo),
    /// Bring the database to this version's schema (`dps run` does so by itself)
    Migrate,
    /// Copy database and keys to a new folder while the service runs, and check the copy
    ///
    /// The copy holds the CertificateStore, its key-encryption keys, the reference Cabinet's
    /// database if there is one, and the token that `dps standalone` made. It holds keys: keep it
    /// like the original.
    ///
    /// SQLite: to restore, stop the service and put the files back where they were; their modes
    /// stay 0600. PostgreSQL: `pg_dump` of the server's version or a newer one dumps the whole
    /// database. To restore, stop the service, run `pg_restore --no-owner` into an empty database,
    /// and put the key file back.
    Backup {
        /// The folder, which must not exist
        folder: PathBuf,
        /// The program `pg_dump`, with `pg_restore` beside it, instead of those in PATH
        #[arg(long, value_name = "FILE")]
        pg_dump: Option<PathBuf>,
    },
    /// Look at domains and nudge them
    #[command(subcommand)]
    Domains(Domains),
    /// Show how the edges are: which answer, what each presents, should hold and lacks
    #[command(args_conflicts_with_subcommands = true)]
    Edges {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
        /// What to do instead of showing them
        #[command(subcommand)]
        command: Option<Edges>,
    },
    /// Show how many domains were removed, and let through removals that are held
    #[command(subcommand)]
    Removals(Removals),
    /// Show what is left of the CA's limits, and lift a wait
    #[command(subcommand)]
    Limits(Limits),
    /// Look at the keys that encrypt private keys in the store, and change them
    #[command(subcommand)]
    Keys(Keys),
    /// Make and renew the certificates with which service and agents believe each other (mutual
    /// TLS)
    #[command(subcommand)]
    Pki(pki::Pki),
    /// Check the configuration, or print a sample
    #[command(subcommand)]
    Config(Config),
}

/// `dps run`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Run {
    /// While the settings cannot be used, stay up, answer /health with what is wrong, and look
    /// again every few seconds
    ///
    /// For containers: without it, the process ends with 2.
    #[arg(long)]
    pub wait_for_configuration: bool,
}

/// `dps demo`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Demo {
    /// End after the last scene instead of staying up for you to try things
    #[arg(long)]
    pub once: bool,
    /// Print the result as one JSON object on the last line
    #[arg(long)]
    pub json: bool,
}

/// `dps domains …`.
#[derive(Debug, Subcommand)]
pub enum Domains {
    /// List domains by hostname
    List {
        /// Only hostnames that contain this
        #[arg(value_name = "TEXT")]
        containing: Option<String>,
        /// Start after this hostname, or at the place that an earlier list ended with
        #[arg(long, value_name = "HOST")]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one domain: where it stands, what is wrong, what to do about it, its history
    Show {
        /// The hostname
        host: String,
        /// At most so many lines of its history, the newest
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        events: u32,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Make a domain's next step due now
    Retry {
        /// The hostname
        host: String,
    },
    /// Renew a domain's certificate now, whatever its age
    Renew {
        /// The hostname
        host: String,
    },
}

/// `dps removals …`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Removals {
    /// Show the removals of the present day, and whether further ones are let through
    Show,
    /// Let all removals through for a day
    ///
    /// More removals than a day usually brings are held, since a fault of the Cabinet's may have
    /// asked for them. Look there first.
    Approve,
}

/// `dps edges …`.
#[derive(Debug, Subcommand)]
pub enum Edges {
    /// Let an edge that was found by DNS take part: it is sent certificates and their keys from now
    /// on
    Approve {
        /// The edge, as `dps edges` names it
        url: String,
    },
}

/// `dps limits …`.
#[derive(Debug, Subcommand)]
pub enum Limits {
    /// List the limits of the configured CA that are used in part or waited for
    Show {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Forget what was counted of a limit and what the CA said of it, and wake the domains that
    /// wait for it
    ///
    /// For a wait that the CA named by mistake, or a limit that it raised. A request that it
    /// refuses all the same is waited for again.
    Lift {
        /// The limit, as `dps limits show` names it
        limit: String,
        /// Only of this name; without it, of all
        name: Option<String>,
    },
}

/// `dps keys …`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Keys {
    /// List the identifiers of the key-encryption keys, the current one first
    List,
    /// Encrypt every stored private key anew under the current key, while the service runs
    ///
    /// A service knows the keys that it started with, so: put the new key in front of the old one,
    /// start every service anew, rotate, take the old key away. A service that was not started anew
    /// meets keys that it cannot open and retries until it is.
    Rotate,
}

/// `dps config …`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Config {
    /// Say what is effective and where it comes from, or all that is wrong (then exit with 2)
    Check {
        /// What the process is to be
        #[arg(long, value_enum, default_value_t)]
        role: Role,
        /// JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration with a comment for every key
    Sample,
}

/// The end of `dps --help`.
fn after_help() -> String {
    format!(
        "Configuration comes from appsettings.json in the current directory and from environment variables such as \
         CabinetApi__BaseUrl. `dps config check` shows what is effective.\n\n{}",
        dps_host::exit::TABLE
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

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
            "edges",
            "removals",
            "limits",
            "keys",
            "pki",
            "config",
        ] {
            assert!(
                text.contains(&format!("\n  {name} ")),
                "{name} is missing in {text}"
            );
        }
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
                json: true
            })
        ));
        assert!(Cli::try_parse_from(["dps", "domains", "list", "--limit", "0"]).is_err());
    }
}
