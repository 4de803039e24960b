//! The exit codes of all our processes.

/// The table, for the end of a `--help`.
pub const TABLE: &str = "Exit codes:\n  \
    0    success, or stopped by a signal after draining\n  \
    1    failure; the reason is on standard error\n  \
    2    the settings or the command line cannot be used\n  \
    130  ended immediately by a second SIGINT\n  \
    143  ended immediately by a second SIGTERM";

/// Something failed while the process ran.
pub const FAILURE: u8 = 1;
/// The settings or the command line cannot be used; clap uses the same code.
pub const UNUSABLE: u8 = 2;
/// Ended immediately by a second SIGINT.
pub const INTERRUPTED: i32 = 130;
/// Ended immediately by a second SIGTERM.
pub const TERMINATED: i32 = 143;
