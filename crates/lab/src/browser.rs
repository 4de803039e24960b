//! A real Chromium that shows pages to tests, driven over W3C `WebDriver` and the `DevTools`
//! protocol.
//!
//! The client is ours, because tests need a dozen commands. The usual one, `thirtyfour`, turns on
//! `serde_json/preserve_order`, which Cargo then applies to all crates that are built with it.
//! Tests would see another order of JSON members than the released programs write.

mod driver;
mod page;

use std::time::Duration;

use serde_json::{Value, json};

use self::driver::Driver;
pub use self::page::LogMessage;
use crate::{LabError, wait};

/// How long a page may take to reach a state on a loaded machine.
const BOUND: Duration = Duration::from_secs(30);
/// The key of an element's reference (W3C `WebDriver` §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The tabulator key (W3C `WebDriver` §17.4.2).
pub const TAB: &str = "\u{e004}";
/// The enter key.
pub const ENTER: &str = "\u{e007}";
/// The escape key.
pub const ESCAPE: &str = "\u{e00c}";

/// How a browser is set up.
#[derive(Debug, Clone, Copy)]
pub struct BrowserOptions {
    /// The languages that it accepts, as in `Accept-Language`.
    pub languages: &'static str,
    /// Whether it runs the scripts of pages.
    pub runs_scripts: bool,
}

impl Default for BrowserOptions {
    fn default() -> Self {
        Self {
            languages: "en",
            runs_scripts: true,
        }
    }
}

/// A running browser with one window and an empty profile. Dropping it stops it.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
}

impl Browser {
    /// Starts a browser without a screen.
    ///
    /// # Errors
    /// [`LabError::MissingProgram`] without Chromium or its driver, [`LabError::Invalid`] with the
    /// driver's words when it cannot start Chromium.
    pub async fn start(options: BrowserOptions) -> Result<Self, LabError> {
        let driver = Driver::start(options).await?;
        let browser = Self { driver };
        browser.resize(1280, 900).await?;
        Ok(browser)
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when nothing answers there.
    pub async fn open(&self, url: &str) -> Result<(), LabError> {
        self.driver.post("url", json!({ "url": url })).await?;
        Ok(())
    }

    /// Sets the size of the page's window, in CSS pixels.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the browser's words.
    pub async fn resize(&self, width: u32, height: u32) -> Result<(), LabError> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await?;
        Ok(())
    }

    /// Sets the features that media queries see, such as `prefers-color-scheme: dark`.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the browser's words.
    pub async fn prefer(&self, features: &[(&str, &str)]) -> Result<(), LabError> {
        let features: Vec<Value> = features
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}))
            .await?;
        Ok(())
    }

    /// Runs a command of the `DevTools` protocol.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the browser's words.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value, LabError> {
        let body = json!({"cmd": command, "params": parameters});
        self.driver.post("goog/cdp/execute", body).await
    }

    /// The value of an expression in the page, after it is settled if it is a promise. The content
    /// security policy and the setting of scripts do not concern it.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the exception.
    pub async fn evaluate(&self, expression: &str) -> Result<Value, LabError> {
        let parameters = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
        });
        let answer = self.devtools("Runtime.evaluate", parameters).await?;
        match answer.get("exceptionDetails") {
            Some(exception) => Err(LabError::invalid(expression, exception)),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression in the page is true.
    ///
    /// # Errors
    /// [`LabError::TimedOut`], with the text of the page.
    pub async fn wait_until(&self, expression: &str) -> Result<(), LabError> {
        let is_true = || async {
            // A page that is being replaced has no answer for a moment.
            let value = self.evaluate(expression).await;
            (value.is_ok_and(|value| value == true)).then_some(())
        };
        if wait::until(expression, BOUND, is_true).await.is_ok() {
            return Ok(());
        }
        let shown = self.evaluate("document.body.innerText").await;
        Err(LabError::TimedOut {
            what: format!("{expression} in {}", shown.unwrap_or_default()),
            bound: BOUND,
        })
    }
}
