//! List `Workers:Renewal:Freeze`: windows in which no renewal begins that can wait.

use dps_domain::Timestamp;
use dps_domain::renewal::freeze::{self, RenewalFreeze};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::super::report::Report;

const KEY: &str = "Workers:Renewal:Freeze";
const FORM: &str = "a date and time with its offset from UTC, such as 2026-12-20T18:00:00+01:00";

/// A window of `Workers:Renewal:Freeze`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct FreezeWindow {
    /// First moment, with its offset from UTC. Required.
    #[serde(deserialize_with = "read_moment")]
    pub from: Option<Timestamp>,
    /// First moment after it, at most 31 days later. Required.
    #[serde(deserialize_with = "read_moment")]
    pub until: Option<Timestamp>,
    /// Reason, for the operators who read of the freeze; at most 200 characters.
    pub reason: Option<String>,
}

fn read_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let read = |text: String| {
        let moment = text.parse().ok();
        moment.ok_or_else(|| D::Error::custom(format!("{text:?} is not {FORM}")))
    };
    text.map(read).transpose()
}

/// The windows that have a beginning and an end.
fn windows(list: &[FreezeWindow]) -> Vec<freeze::FreezeWindow> {
    let window = |window: &FreezeWindow| {
        Some(freeze::FreezeWindow {
            from: window.from?,
            until: window.until?,
            reason: window.reason.clone().filter(|reason| !reason.is_empty()),
        })
    };
    list.iter().filter_map(window).collect()
}

/// The freeze of these windows. Faulty ones keep the process from starting before this is used.
pub(super) fn freeze(list: &[FreezeWindow]) -> RenewalFreeze {
    RenewalFreeze::new(windows(list)).unwrap_or_default()
}

pub(super) fn check(list: &[FreezeWindow], report: &mut Report) {
    let mut is_whole = true;
    for (index, window) in list.iter().enumerate() {
        for (key, moment) in [("From", window.from), ("Until", window.until)] {
            if moment.is_none() {
                is_whole = false;
                report.error(
                    &format!("{KEY}:{index}:{key}"),
                    format!("is missing; set it to {FORM}"),
                );
            }
        }
    }
    if !is_whole {
        return;
    }
    if let Err(fault) = RenewalFreeze::new(windows(list)) {
        let key = (fault.window()).map_or_else(|| KEY.to_owned(), |index| format!("{KEY}:{index}"));
        report.error(&key, fault.to_string());
    }
}
