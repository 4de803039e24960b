//! Checks for every page, and pages of a test's own.

mod audit;
mod keyboard;
mod site;

use std::path::PathBuf;

use dps_lab::browser::{Browser, BrowserOptions};

pub(crate) use audit::{assert_accessible, assert_no_faults, csp_violations, findings};
pub(crate) use keyboard::{Stop, tab_stops};
pub(crate) use site::{Page, Site};

/// A browser that runs scripts and accepts these languages.
pub(crate) async fn browser(languages: &'static str) -> Browser {
    let options = BrowserOptions {
        languages,
        ..BrowserOptions::default()
    };
    Browser::start(options)
        .await
        .expect("Chromium must be installed for this test")
}

/// A browser that runs no scripts of pages.
pub(crate) async fn browser_without_scripts() -> Browser {
    let options = BrowserOptions {
        runs_scripts: false,
        ..BrowserOptions::default()
    };
    Browser::start(options)
        .await
        .expect("Chromium must be installed for this test")
}

/// A colour scheme of the visitor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(crate) const BOTH: [Self; 2] = [Self::Light, Self::Dark];

    /// The word of `prefers-color-scheme`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Makes the browser prefer it, and no motion.
    pub(crate) async fn apply(self, browser: &Browser) {
        let features = [
            ("prefers-color-scheme", self.word()),
            // A contrast measured in the middle of a transition is that of neither state.
            ("prefers-reduced-motion", "reduce"),
        ];
        browser.prefer(&features).await.unwrap();
    }
}

/// Keeps a screenshot of the whole page.
pub(crate) async fn keep_screenshot(browser: &Browser, name: &str) {
    let kept = std::env::var_os("DPS_SCREENSHOTS").map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&kept).unwrap();
    let png = browser.screenshot().await.unwrap();
    std::fs::write(kept.join(format!("{name}.png")), png).unwrap();
}

/// Fails if the page needs a horizontal scroll bar at this width, in CSS pixels.
pub(crate) async fn assert_fits(browser: &Browser, width: u32) {
    browser.resize(width, 900).await.unwrap();
    let measured = browser.evaluate("document.documentElement.scrollWidth");
    let measured = measured.await.unwrap().as_u64().unwrap();
    assert!(
        measured <= u64::from(width),
        "{measured} pixels on a screen of {width}"
    );
}
