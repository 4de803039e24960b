//! The frame around every page, and the forms of times and numbers.

use std::fmt::Write as _;
use std::time::Duration;

use dps_domain::explain::Responsible;
use dps_domain::{Actor, Status, Timestamp};

use crate::assets::{ASSETS, Assets};
use crate::chip;
use crate::html::Html;
use crate::language::Language;
use crate::texts::Texts;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// The colours of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system has them.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Every theme.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its name in forms and cookies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }
}

/// A place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the pages")]
pub enum Section {
    Overview,
    Domains,
    Jobs,
    Causes,
    Renewals,
    Issuance,
    Limits,
    Edges,
    Tenants,
    Activity,
    System,
    /// A page that is not in the navigation.
    Other,
}

/// The person who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The holder of the token.
    pub name: String,
    /// The name of the token's role.
    pub role: &'static str,
    /// Whether the role allows calls that act on a domain or a limit.
    pub is_operator: bool,
    /// Whether the role allows all calls.
    pub is_admin: bool,
}

/// The frame around a page.
#[derive(Debug, Clone)]
pub struct Page {
    /// The language.
    pub language: Language,
    /// The theme.
    pub theme: Theme,
    /// The present time.
    pub now: Timestamp,
    /// The page's path and query.
    pub here: String,
    /// Its place in the navigation.
    pub section: Section,
    /// The person who looks; `None` without a session.
    pub user: Option<User>,
}

/// A line of the navigation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NavLink {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
    pub(crate) is_here: bool,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    reason = "templates call methods of the page, with references"
)]
impl Page {
    /// The texts in the page's language.
    pub fn t(&self) -> &'static Texts {
        self.language.texts()
    }

    pub(crate) fn assets(&self) -> &'static Assets {
        &ASSETS
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_operator)
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_admin)
    }

    pub(crate) fn nav(&self) -> Vec<NavLink> {
        let t = self.t();
        let links = [
            (Section::Overview, "/", t.overview),
            (Section::Domains, "/domains", t.domains),
            (Section::Jobs, "/jobs", t.jobs),
            (Section::Causes, "/causes", t.causes),
            (Section::Renewals, "/renewals", t.renewals),
            (Section::Issuance, "/issuance", t.issuance_nav),
            (Section::Limits, "/ca", t.limits),
            (Section::Edges, "/edges", t.edges),
            (Section::Tenants, "/tenants", t.tenants),
            (Section::Activity, "/activity", t.activity),
            (Section::System, "/system", t.system),
        ];
        let link = |(section, path, text)| NavLink {
            path,
            text,
            is_here: self.section == section,
        };
        links.map(link).to_vec()
    }

    pub(crate) fn themes(&self) -> Vec<(&'static str, &'static str, bool)> {
        let t = self.t();
        let text = |theme| match theme {
            Theme::System => t.theme_system,
            Theme::Light => t.theme_light,
            Theme::Dark => t.theme_dark,
        };
        let themes = Theme::ALL.into_iter();
        themes
            .map(|theme| (theme.as_str(), text(theme), theme == self.theme))
            .collect()
    }

    /// The time of day in UTC.
    pub(crate) fn clock(&self, at: &Timestamp) -> Html {
        let at = *at;
        let text = at.to_string();
        let clock = text.get(11..19).unwrap_or(&text);
        Html::new(format!("<time datetime=\"{text}\">{clock} UTC</time>"))
    }

    /// A time as the distance from the present, with the time itself for programs and on request.
    pub(crate) fn time(&self, at: &Timestamp) -> Html {
        let at = *at;
        let distance = if at > self.now {
            let rest = self.duration(&at.since(self.now));
            fill(self.t().in_time, "time", &rest)
        } else {
            let age = self.duration(&self.now.since(at));
            fill(self.t().ago, "time", &age)
        };
        let text = whole_seconds(at);
        Html::new(format!(
            "<time datetime=\"{text}\" title=\"{}\">{distance}</time>",
            readable(&text)
        ))
    }

    /// A time as date and time in UTC, with the distance from the present.
    pub(crate) fn full_time(&self, at: &Timestamp) -> Html {
        let at = *at;
        let text = whole_seconds(at);
        Html::new(format!(
            "<time datetime=\"{text}\">{}</time> <span class=\"muted\">({})</span>",
            readable(&text),
            self.time(&at)
        ))
    }

    /// Whether a time is yet to come, by whole seconds.
    pub(crate) fn is_ahead(&self, at: &Timestamp) -> bool {
        at.unix_seconds() > self.now.unix_seconds()
    }

    pub(crate) fn duration(&self, duration: &Duration) -> String {
        let duration = *duration;
        let t = self.t();
        let seconds = duration.as_secs();
        let (number, unit) = match seconds {
            0..MINUTE => (seconds, t.unit_seconds),
            MINUTE..HOUR => (seconds / MINUTE, t.unit_minutes),
            HOUR..DAY => (seconds / HOUR, t.unit_hours),
            _ => (seconds / DAY, t.unit_days),
        };
        format!("{number}\u{a0}{unit}")
    }

    /// The distance from an earlier time, for changes.
    pub(crate) fn since_earlier(&self, at: &Timestamp) -> String {
        let at = *at;
        let distance = self.duration(&self.now.since(at));
        fill(self.t().since_earlier, "time", &distance)
    }

    pub(crate) fn number(&self, number: &u64) -> String {
        grouped(*number)
    }

    pub(crate) fn number32(&self, number: &u32) -> String {
        grouped(u64::from(*number))
    }

    pub(crate) fn change(&self, by: &Option<i64>) -> String {
        change(*by)
    }

    pub(crate) fn encoded(&self, text: &str) -> String {
        encoded(text)
    }

    pub(crate) fn chip(&self, status: &Status) -> Html {
        chip::status(self.t(), *status)
    }

    pub(crate) fn actor(&self, actor: &Actor) -> Html {
        chip::actor(self.t(), *actor)
    }

    pub(crate) fn responsible(&self, responsible: &Responsible) -> Html {
        chip::responsible(self.t(), *responsible)
    }

    pub(crate) fn presented_chip(&self, is_wanted: &bool) -> Html {
        chip::presented(self.t(), *is_wanted)
    }

    pub(crate) fn health_chip(&self, is_ok: &bool, is_required: &bool) -> Html {
        chip::health(self.t(), *is_ok, *is_required)
    }

    pub(crate) fn alive_chip(&self, is_alive: &bool) -> Html {
        chip::alive(self.t(), *is_alive)
    }

    pub(crate) fn edge_chip(&self, state: &str) -> Html {
        chip::edge(self.t(), state)
    }
}

/// A number with its digits in groups.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A change of a number, with its sign; a dash without one.
pub(crate) fn change(change: Option<i64>) -> String {
    match change {
        None => "–".to_owned(),
        Some(0) => "±0".to_owned(),
        Some(by) => {
            let sign = if by > 0 { '+' } else { '−' };
            format!("{sign}{}", grouped(by.unsigned_abs()))
        }
    }
}

/// The duration of a step.
pub(crate) fn took(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}\u{a0}ms"),
        _ => format!("{}.{}\u{a0}s", millis / 1_000, millis % 1_000 / 100),
    }
}

/// Replaces the placeholder `{name}` of a text.
pub(crate) fn fill(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("{{{name}}}"), value)
}

/// A text as one segment of a path, or as the value of a parameter.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_unix_seconds(at.unix_seconds()).to_string()
}

fn readable(text: &str) -> String {
    text.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_changes_have_a_sign() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        let changes = [None, Some(0), Some(1_000), Some(-3)].map(change);
        assert_eq!(changes, ["–", "±0", "+1\u{202f}000", "−3"]);
    }

    #[test]
    fn any_text_is_one_segment_of_a_path() {
        assert_eq!(
            encoded("https://e-1:9403/?"),
            "https%3A%2F%2Fe-1%3A9403%2F%3F"
        );
        assert_eq!(encoded("ж"), "%D0%B6");
    }
}
