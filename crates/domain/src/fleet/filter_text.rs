//! Parses filters from the texts that people write.

use std::time::Duration;

use crate::text::{nearest, shown};
use crate::{Actor, FailureCode, Hostname, Status};

use super::filter::{DomainFilter, EdgeFilter, NameFilter};

/// The longest tenant or name of an edge that is searched for, in bytes.
const MAX_TEXT: usize = 1024;
/// The longest name in DNS, in bytes.
const MAX_NAME: usize = 253;

/// The parts of a filter as texts. A part that is `None` accepts every value.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilterText<'a> {
    /// A hostname.
    pub name: Option<&'a str>,
    /// The beginning of a hostname.
    pub prefix: Option<&'a str>,
    /// A domain, for itself and all names below it.
    pub suffix: Option<&'a str>,
    /// A text within a hostname.
    pub containing: Option<&'a str>,
    /// A tenant.
    pub tenant: Option<&'a str>,
    /// A status.
    pub status: Option<&'a str>,
    /// A failure code.
    pub code: Option<&'a str>,
    /// Who must act.
    pub actor: Option<&'a str>,
    /// The time within which certificates end.
    pub expires_within: Option<Duration>,
    /// An edge that serves the domain.
    pub edge: Option<&'a str>,
    /// An edge that should serve the domain and does not yet.
    pub edge_pending: Option<&'a str>,
}

/// A part of a filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FilterError {
    /// The part, as [`FilterText`] names it.
    pub field: &'static str,
    /// The reason, with what to write instead.
    pub problem: String,
}

impl DomainFilter {
    /// Parses a filter; the error names the part and the remedy.
    pub fn parse(text: &FilterText<'_>) -> Result<Self, FilterError> {
        let statuses = Status::ALL.map(Status::as_str);
        let actors = Actor::ALL.map(Actor::as_str);
        let codes: Vec<&str> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
        let status = word("status", text.status, &statuses)?;
        let code = word("code", text.code, &codes)?;
        let actor = word("actor", text.actor, &actors)?;
        Ok(Self {
            name: name(text)?,
            tenant: bounded("tenant", text.tenant)?,
            status: status.map(|index| Status::ALL[index]),
            code: code.map(|index| FailureCode::ALL[index]),
            actor: actor.map(|index| Actor::ALL[index]),
            expires_within: text.expires_within,
            edge: edge(text)?,
        })
    }
}

fn error(field: &'static str, problem: impl Into<String>) -> FilterError {
    FilterError {
        field,
        problem: problem.into(),
    }
}

/// The index of a word among the known ones, without regard to case.
fn word(
    field: &'static str,
    text: Option<&str>,
    known: &[&str],
) -> Result<Option<usize>, FilterError> {
    let Some(text) = text else { return Ok(None) };
    let text = text.trim();
    let same = |word: &&str| word.eq_ignore_ascii_case(text);
    if let Some(index) = known.iter().position(same) {
        return Ok(Some(index));
    }
    let meant = nearest(text, known.iter().copied());
    let remedy = meant.map_or_else(
        || format!("known are {}", known.join(", ")),
        |word| format!("did you mean {word}?"),
    );
    Err(error(
        field,
        format!("{:?} is not known; {remedy}", shown(text, MAX_NAME)),
    ))
}

fn bounded(field: &'static str, text: Option<&str>) -> Result<Option<String>, FilterError> {
    match text {
        None => Ok(None),
        Some("") => Err(error(
            field,
            "the text is empty; leave the option out to accept all",
        )),
        Some(text) if text.len() > MAX_TEXT => Err(error(
            field,
            format!("the text is longer than {MAX_TEXT} bytes"),
        )),
        // PostgreSQL has no texts with U+0000, and no name or tenant has another one.
        Some(text) if text.contains(char::is_control) => {
            Err(error(field, "the text has control characters".to_owned()))
        }
        Some(text) => Ok(Some(text.to_owned())),
    }
}

fn name(text: &FilterText<'_>) -> Result<Option<NameFilter>, FilterError> {
    let given = [
        ("name", text.name),
        ("prefix", text.prefix),
        ("suffix", text.suffix),
        ("containing", text.containing),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(field, text)| text.map(|text| (field, text)));
    let Some((field, text)) = given.next() else {
        return Ok(None);
    };
    if let Some((other, _)) = given.next() {
        return Err(error(
            other,
            format!("cannot be used together with {field}; give one"),
        ));
    }
    Ok(Some(match field {
        "name" => NameFilter::Exact(
            Hostname::parse(text).map_err(|problem| error(field, problem.to_string()))?,
        ),
        "prefix" => NameFilter::Prefix(part(field, text, text.trim())?),
        "suffix" => NameFilter::Below(part(field, text, text.trim().trim_matches('.'))?),
        _ => NameFilter::Contains(
            bounded(field, Some(text))?
                .unwrap_or_default()
                .to_lowercase(),
        ),
    }))
}

/// A part of a hostname in A-labels and lower case.
fn part(field: &'static str, text: &str, part: &str) -> Result<String, FilterError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if part.is_empty() || part.len() > MAX_NAME || !part.chars().all(is_name) {
        let text = shown(text, MAX_NAME);
        return Err(error(
            field,
            format!(
                "{text:?} is not part of a hostname; use letters, digits, hyphens and dots, and \
                 international names in their xn-- form"
            ),
        ));
    }
    Ok(part.to_ascii_lowercase())
}

fn edge(text: &FilterText<'_>) -> Result<Option<EdgeFilter>, FilterError> {
    let serving = bounded("edge", text.edge)?;
    let pending = bounded("edge_pending", text.edge_pending)?;
    match (serving, pending) {
        (Some(_), Some(_)) => Err(error(
            "edge_pending",
            "cannot be used together with edge; give one",
        )),
        (Some(edge), None) => Ok(Some(EdgeFilter::Serving(edge))),
        (None, Some(edge)) => Ok(Some(EdgeFilter::Pending(edge))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: FilterText<'_>) -> String {
        DomainFilter::parse(&text).unwrap_err().to_string()
    }

    #[test]
    fn words_are_read_in_any_case() {
        let text = FilterText {
            status: Some("failed"),
            code: Some("caa_forbids"),
            actor: Some("Customer"),
            suffix: Some(".Example.COM."),
            ..FilterText::default()
        };
        let filter = DomainFilter::parse(&text).unwrap();
        assert_eq!(filter.status, Some(Status::Failed));
        assert_eq!(filter.code, Some(FailureCode::CaaForbids));
        assert_eq!(filter.actor, Some(Actor::Customer));
        assert_eq!(filter.name, Some(NameFilter::Below("example.com".into())));
    }

    #[test]
    fn a_text_without_a_meaning_is_refused() {
        for (tenant, problem) in [
            (
                "",
                "tenant: the text is empty; leave the option out to accept all",
            ),
            ("a\u{0}", "tenant: the text has control characters"),
            ("a\nb", "tenant: the text has control characters"),
        ] {
            let text = FilterText {
                tenant: Some(tenant),
                ..FilterText::default()
            };
            assert_eq!(refused(text), problem);
        }
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_nearest_or_with_all() {
        let code = FilterText {
            code: Some("CAA_FORBID"),
            ..FilterText::default()
        };
        assert_eq!(
            refused(code),
            "code: \"CAA_FORBID\" is not known; did you mean CAA_FORBIDS?"
        );
        let status = FilterText {
            status: Some("broken"),
            ..FilterText::default()
        };
        assert_eq!(
            refused(status),
            "status: \"broken\" is not known; known are PendingDns, PendingHttpProbe, Issuing, \
             Active, Failed, PendingRemoval, Removed"
        );
    }

    #[test]
    fn a_part_of_a_name_that_cannot_be_used_is_named_with_the_remedy() {
        let both = FilterText {
            prefix: Some("www"),
            suffix: Some("example.com"),
            ..FilterText::default()
        };
        assert_eq!(
            refused(both),
            "suffix: cannot be used together with prefix; give one"
        );
        let unicode = FilterText {
            prefix: Some("bü"),
            ..FilterText::default()
        };
        assert!(refused(unicode).contains("xn-- form"));
        let empty = FilterText {
            tenant: Some(""),
            ..FilterText::default()
        };
        assert!(refused(empty).starts_with("tenant: "));
    }
}
