//! Reading and operating a page as its visitor does.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Browser, ELEMENT};
use crate::LabError;

/// A message in the browser's log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogMessage {
    /// Its severity, such as `SEVERE`.
    pub level: String,
    /// The part of the browser that wrote it, such as `security` or `network`.
    pub source: String,
    /// Its text.
    pub message: String,
}

impl Browser {
    /// The visible text of the first element that a CSS selector matches.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when there is none.
    pub async fn text(&self, selector: &str) -> Result<String, LabError> {
        let path = format!("element/{}/text", self.element(selector).await?);
        let text = self.driver.get(&path).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the first element that a CSS selector matches, with the mouse.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when there is none, or another element covers it.
    pub async fn click(&self, selector: &str) -> Result<(), LabError> {
        let path = format!("element/{}/click", self.element(selector).await?);
        self.driver.post(&path, json!({})).await?;
        Ok(())
    }

    /// Types into the first element that a CSS selector matches.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when there is none, or it takes no text.
    pub async fn write(&self, selector: &str, text: &str) -> Result<(), LabError> {
        let path = format!("element/{}/value", self.element(selector).await?);
        self.driver.post(&path, json!({ "text": text })).await?;
        Ok(())
    }

    /// Presses and releases one key after the other, wherever the focus is.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the browser's words.
    pub async fn press(&self, keys: &str) -> Result<(), LabError> {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.driver
            .post("actions", json!({ "actions": [keyboard] }))
            .await?;
        Ok(())
    }

    /// Continues inside the frame that a CSS selector matches.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when there is none.
    pub async fn enter_frame(&self, selector: &str) -> Result<(), LabError> {
        let frame = json!({ELEMENT: self.element(selector).await?});
        self.driver.post("frame", json!({ "id": frame })).await?;
        Ok(())
    }

    /// A picture of the whole page as PNG.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the browser's words.
    pub async fn screenshot(&self) -> Result<Vec<u8>, LabError> {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.devtools("Page.captureScreenshot", whole).await?;
        let text = answer["data"].as_str().unwrap_or_default();
        let png = BASE64_STANDARD.decode(text);
        png.map_err(|error| LabError::invalid("a screenshot", error))
    }

    /// The messages that the browser wrote since the last call.
    ///
    /// # Errors
    /// [`LabError::Invalid`] with the browser's words.
    pub async fn log(&self) -> Result<Vec<LogMessage>, LabError> {
        let entries = self.driver.post("se/log", json!({"type": "browser"})).await;
        serde_json::from_value(entries?).map_err(|error| LabError::invalid("the log", error))
    }

    async fn element(&self, selector: &str) -> Result<String, LabError> {
        let by_css = json!({"using": "css selector", "value": selector});
        let element = self.driver.post("element", by_css).await?;
        Ok(element[ELEMENT].as_str().unwrap_or_default().to_owned())
    }
}
