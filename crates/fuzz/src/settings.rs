//! The configuration file.

use std::io::Write as _;

use dps_host::settings::Loader;
use dps_worker::config::Settings;

/// A configuration file with arbitrary content.
pub(crate) fn settings(data: &[u8]) {
    let mut file = tempfile::Builder::new()
        .suffix(".json")
        .tempfile()
        .expect("a temporary file");
    file.write_all(data)
        .expect("a temporary file can be written");
    let loader = Loader::new(file.path()).config(file.path());
    if let Err(error) = loader.load::<Settings>() {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
}
