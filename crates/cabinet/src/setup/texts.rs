//! Every word of the page, in each language.

mod en;
mod ru;
mod ru_failures;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use dps_domain::Failure;
use serde::Serialize;

use super::stage::Stage;

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Russian,
}

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Russian];

    /// The language that a link asks for, or the reader's browser, or English.
    pub(crate) fn of(requested: Option<&str>, headers: &HeaderMap) -> Self {
        requested.and_then(Self::by_tag).unwrap_or_else(|| {
            let accepted = headers
                .get(ACCEPT_LANGUAGE)
                .and_then(|value| value.to_str().ok());
            accepted.map_or(Self::English, Self::preferred)
        })
    }

    fn by_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default().trim();
        let mut all = Self::ALL.into_iter();
        all.find(|language| primary.eq_ignore_ascii_case(language.texts().lang))
    }

    /// The best of a list as in `Accept-Language` (RFC 9110 §12.5.4).
    fn preferred(accepted: &str) -> Self {
        let mut best = (0.0, Self::English);
        for range in accepted.split(',') {
            let (tag, parameter) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameter
                .trim()
                .strip_prefix("q=")
                .map_or(Ok(1.0), str::parse);
            let Some(language) = Self::by_tag(tag.trim()) else {
                continue;
            };
            // Of equal ones, the first counts.
            let weight: f64 = weight.unwrap_or(0.0);
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The tag of the language (RFC 5646).
    pub(crate) const fn tag(self) -> &'static str {
        self.texts().lang
    }

    pub(super) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::TEXTS,
            Self::Russian => &ru::TEXTS,
        }
    }

    /// The sentence about a failure in this language. `stored` is the one of the service, which is
    /// English. `None` if there is no sentence in this language.
    pub(super) fn failure_sentence(
        self,
        failure: Option<&Failure>,
        stored: Option<&str>,
        host: &str,
    ) -> Option<String> {
        match self {
            Self::English => stored.map(str::to_owned),
            Self::Russian => failure.map(|failure| ru_failures::sentence(failure, host)),
        }
    }
}

/// The answer to a click that could not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A check was requested a moment ago.
    TooSoon,
    /// The tenant requested as many checks as it may in a day.
    TooMany,
    /// The domain is being removed, or is removed.
    NotPossible,
}

impl Notice {
    const ALL: [Self; 3] = [Self::TooSoon, Self::TooMany, Self::NotPossible];

    /// The word in an address.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::TooSoon => "soon",
            Self::TooMany => "limit",
            Self::NotPossible => "removed",
        }
    }

    /// The notice with this word.
    pub(crate) fn by_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.word() == word)
    }

    pub(super) const fn text(self, texts: &Texts) -> &'static str {
        match self {
            Self::TooSoon => texts.too_soon,
            Self::TooMany => texts.too_many,
            Self::NotPossible => texts.not_possible,
        }
    }
}

/// A headline and the sentence below it. `{host}` and `{zone}` are filled in.
#[derive(Debug, Serialize)]
pub(super) struct Heading {
    pub(super) headline: &'static str,
    pub(super) lead: &'static str,
}

/// The texts of one language. A placeholder is a word in braces.
#[derive(Debug, Serialize)]
pub(crate) struct Texts {
    /// The tag of the language (RFC 5646).
    pub(crate) lang: &'static str,
    pub(crate) language_name: &'static str,
    pub(crate) language: &'static str,
    pub(super) title: &'static str,
    pub(super) create_record: Heading,
    pub(super) checking: Heading,
    pub(super) action_needed: Heading,
    pub(super) waiting: Heading,
    pub(super) our_side: Heading,
    pub(super) connecting: Heading,
    pub(super) issuing: Heading,
    pub(super) stopped: Heading,
    pub(super) live: Heading,
    pub(super) live_with_problem: Heading,
    pub(super) removing: Heading,
    pub(super) removed: Heading,
    pub(crate) open: &'static str,
    pub(crate) progress: &'static str,
    pub(super) steps: [&'static str; 4],
    pub(super) step_done: &'static str,
    pub(super) step_current: &'static str,
    pub(super) step_todo: &'static str,
    pub(crate) original: &'static str,
    pub(super) records_title: &'static str,
    pub(super) records_lead: &'static str,
    pub(super) kept_title: &'static str,
    pub(super) kept_lead: &'static str,
    pub(super) records_hint: &'static str,
    /// In place of `records_hint`, for a name at the top of its zone.
    pub(super) top_hint: &'static str,
    pub(crate) record_type: &'static str,
    pub(crate) record_name: &'static str,
    pub(crate) record_value: &'static str,
    pub(crate) copy: &'static str,
    pub(crate) copied: &'static str,
    pub(super) provider: &'static str,
    pub(crate) check_again: &'static str,
    /// With the time as `{at}`.
    pub(super) next_check: &'static str,
    pub(super) next_check_now: &'static str,
    pub(crate) no_next_check: &'static str,
    /// With the time as `{at}`.
    pub(super) valid_until: &'static str,
    pub(super) in_seconds: &'static str,
    pub(super) in_minutes: &'static str,
    pub(super) in_hours: &'static str,
    pub(super) in_days: &'static str,
    pub(super) too_soon: &'static str,
    pub(super) too_many: &'static str,
    pub(super) not_possible: &'static str,
    pub(super) unknown_link: Heading,
    pub(super) too_many_visits: Heading,
    pub(super) busy: Heading,
}

impl Texts {
    pub(super) const fn heading(&self, stage: Stage) -> &Heading {
        match stage {
            Stage::CreateRecord => &self.create_record,
            Stage::Checking => &self.checking,
            Stage::ActionNeeded => &self.action_needed,
            Stage::Waiting => &self.waiting,
            Stage::OurSide => &self.our_side,
            Stage::Connecting => &self.connecting,
            Stage::Issuing => &self.issuing,
            Stage::Stopped => &self.stopped,
            Stage::Live => &self.live,
            Stage::LiveWithProblem => &self.live_with_problem,
            Stage::Removing => &self.removing,
            Stage::Removed => &self.removed,
        }
    }
}

/// Puts values in place of their placeholders, each only once.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut left = text;
    while let Some((before, after)) = left.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        left = after;
    }
    filled + left
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use axum::http::HeaderValue;
    use serde_json::Value;

    use super::*;

    fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(members) => {
                for (key, below) in members {
                    leaves(below, &format!("{path}/{key}"), found);
                }
            }
            Value::Array(items) => {
                for (place, below) in items.iter().enumerate() {
                    leaves(below, &format!("{path}/{place}"), found);
                }
            }
            other => {
                found.insert(path.to_owned(), other.as_str().unwrap().to_owned());
            }
        }
    }

    fn all(language: Language) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let texts = serde_json::to_value(language.texts()).unwrap();
        leaves(&texts, "", &mut found);
        found
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        let parts = text.split('{').skip(1);
        parts.map(|part| part.split_once('}').unwrap().0).collect()
    }

    #[test]
    fn every_language_has_every_text_with_the_same_placeholders() {
        let (english, russian) = (all(Language::English), all(Language::Russian));
        assert!(english.keys().eq(russian.keys()));
        for (key, text) in &english {
            let translated = &russian[key];
            assert!(!text.trim().is_empty(), "{key}");
            assert_ne!(text, translated, "{key}");
            assert_eq!(placeholders(text), placeholders(translated), "{key}");
            let is_cyrillic = |c: char| ('\u{400}'..='\u{4ff}').contains(&c);
            assert!(!text.contains(is_cyrillic), "{key}: {text}");
            if key != "/lang" {
                assert!(translated.contains(is_cyrillic), "{key}: {translated}");
            }
        }
    }

    #[test]
    fn the_language_is_that_of_the_link_or_the_browser() {
        let of = |requested, accepted: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(accepted).unwrap());
            Language::of(requested, &headers)
        };
        for (requested, accepted, language) in [
            (Some("ru"), "en", Language::Russian),
            (Some("RU-ru"), "", Language::Russian),
            (Some("de"), "ru", Language::Russian),
            (None, "de, ru;q=0.8, en;q=0.7", Language::Russian),
            (None, "en;q=0.9, ru;q=0.9", Language::English),
            (None, "ru;q=0, *", Language::English),
            (None, "ru;q=many", Language::English),
            (None, "de", Language::English),
        ] {
            assert_eq!(
                of(requested, accepted),
                language,
                "{requested:?} {accepted}"
            );
        }
    }

    #[test]
    fn a_value_with_braces_is_not_filled_in_again() {
        let values = [("host", "{zone}"), ("zone", "example.com")];
        assert_eq!(fill("{host} in {zone}.", &values), "{zone} in example.com.");
        assert_eq!(fill("{unknown}{", &values), "");
    }
}
