//! Fuzz targets for the code that reads input from other parties.
//!
//! Each target takes arbitrary bytes and must return: no panic, no endless loop, no memory without
//! bound. Where a target knows more, such as that what was read can be written and read again, it
//! asserts that too. `script/fuzz` runs the targets under a coverage-guided fuzzer; the test of
//! this crate runs the corpus in `fuzz/corpus`.

mod agent;
mod cabinet;
mod outside;
mod settings;
mod x509;

/// A target by the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("acme_answer", outside::acme_answer),
    ("apply_request", agent::apply_request),
    ("cabinet_page", cabinet::page),
    ("certificate_path", x509::certificate_path),
    ("dns_answer", outside::dns_answer),
    ("haproxy_answer", agent::haproxy_answer),
    ("settings", settings::settings),
];

/// Runs one target.
///
/// # Panics
/// Where the target finds a fault, and for a name that is no target's.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.expect("the name of a target");
    target(data);
}
