//! `dps completions` and `dps man`: the command line, for shells and for `man`.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::output::{self, outln};

/// Prints a script that completes the commands and options of `dps`.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "dps", &mut script);
    output::write(format_args!("{}", String::from_utf8(script)?))?;
    Ok(())
}

/// Writes a page for each command into the folder, which is created if it is missing.
pub fn manual(folder: &Path) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().with_context(|| format!("cannot write pages to {}", folder.display()))?;
    outln!(
        "Wrote the pages; `man -l {}` shows the first.",
        folder.join("dps.1").display()
    )?;
    Ok(())
}
