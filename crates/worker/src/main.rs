//! The `dps` command.

use std::process::ExitCode;

use clap::Parser as _;
use dps_worker::cli::Cli;
use dps_worker::roles;

#[tokio::main]
async fn main() -> ExitCode {
    match roles::execute(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
