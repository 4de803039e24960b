//! The `dps` command.

use std::process::ExitCode;

use clap::Parser as _;
use dps_host::{exit, process};
use dps_worker::cli::Cli;
use dps_worker::cli::output::OutputError;
use dps_worker::roles;

/// A fifth less time for a simulated fleet than with the allocator of glibc: steps are many small
/// pieces that live shortly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = process::hide_memory() {
        eprintln!("warning: other processes of this user may read this one's memory: {error}");
    }
    match Box::pin(roles::execute(Cli::parse())).await {
        Ok(code) => code,
        // A pipe that its reader has closed is not a fault.
        Err(error) if matches!(error.downcast_ref(), Some(OutputError::ReaderGone)) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit::FAILURE)
        }
    }
}
