//! Accessibility, the content security policy and faults of scripts.

use dps_lab::browser::{Browser, LogMessage};
use serde::Deserialize;

/// axe-core, which is injected past the page's content security policy.
const AXE: &str = include_str!("../../../assets/axe/axe.min.js");
/// Without preloading, axe fetches nothing.
const RUN: &str = r#"axe.run(document, {preload: false}).then(results => results.violations.map(found => ({
    rule: found.id,
    help: found.help,
    places: found.nodes.map(node => node.target.join(" ") + ": " + node.failureSummary),
})))"#;

/// A fault that axe found.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    /// The rule of axe, such as `color-contrast`.
    pub(crate) rule: String,
    #[expect(dead_code, reason = "read by the reader of a failed test")]
    help: String,
    #[expect(dead_code, reason = "read by the reader of a failed test")]
    places: Vec<String>,
}

/// The faults of accessibility that axe finds on the page, by WCAG 2.2 AA and its own practices.
pub(crate) async fn findings(browser: &Browser) -> Vec<Finding> {
    browser.evaluate(&format!("{AXE};undefined")).await.unwrap();
    let found = browser.evaluate(RUN).await.unwrap();
    serde_json::from_value(found).unwrap()
}

/// Fails if axe finds a fault of accessibility on the page.
pub(crate) async fn assert_accessible(browser: &Browser, page: &str) {
    let found = findings(browser).await;
    assert!(found.is_empty(), "{page}: {found:#?}");
}

/// The violations of a content security policy since the last reading of the log.
pub(crate) async fn csp_violations(browser: &Browser) -> Vec<LogMessage> {
    let log = browser.log().await.unwrap();
    log.into_iter().filter(is_csp_violation).collect()
}

/// Fails if the browser noticed a violation of a content security policy or a fault of a script
/// since the last reading of the log.
pub(crate) async fn assert_no_faults(browser: &Browser) {
    let log = browser.log().await.unwrap();
    let is_fault = |message: &LogMessage| is_csp_violation(message) || message.level == "SEVERE";
    let faults: Vec<_> = log.into_iter().filter(is_fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

fn is_csp_violation(message: &LogMessage) -> bool {
    message.source == "security" || message.message.contains("Content Security Policy")
}
