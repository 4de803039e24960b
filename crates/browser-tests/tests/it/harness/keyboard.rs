//! A page by keyboard alone.

use dps_lab::browser::{Browser, TAB};
use serde::Deserialize;

/// More elements than any page has.
const MAX_STOPS: usize = 200;
const FOCUS: &str = r#"(() => {
    const element = document.activeElement;
    if (!element || element === document.body || element === document.documentElement) return null;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return {
        name: (element.getAttribute("aria-label") || element.innerText || element.value || "").trim(),
        isMarked: (isOutlined || style.boxShadow !== "none") && box.width > 0 && box.height > 0,
    };
})()"#;

/// An element that the tabulator key reaches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stop {
    /// Its label or text.
    pub(crate) name: String,
    /// Whether one sees that it has the focus.
    pub(crate) is_marked: bool,
}

/// The elements that the tabulator key reaches, in order, from the beginning of the page.
pub(crate) async fn tab_stops(browser: &Browser) -> Vec<Stop> {
    let reset = "document.activeElement?.blur(); getSelection().removeAllRanges()";
    browser.evaluate(reset).await.unwrap();
    let mut stops = Vec::new();
    while stops.len() < MAX_STOPS {
        browser.press(TAB).await.unwrap();
        let focus = browser.evaluate(FOCUS).await.unwrap();
        let Ok(stop) = serde_json::from_value::<Stop>(focus) else {
            break;
        };
        stops.push(stop);
    }
    stops
}
