//! The `dps` command.

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use dps_worker::cli::{Cli, Command, Config, config};

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let path = cli.config.as_deref();
    match cli.command {
        Command::Config(Config::Check { role, json }) => {
            let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
            Ok(config::check(path, role, json, (&mut out, &mut err))?)
        }
        Command::Config(Config::Sample) => {
            print!("{}", config::SAMPLE);
            Ok(ExitCode::SUCCESS)
        }
        other => anyhow::bail!("this build cannot do {other:?}"),
    }
}
