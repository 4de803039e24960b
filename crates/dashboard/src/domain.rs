//! One domain: why, and what next?

use askama::Template;
use dps_admin_api::{DomainDetail, Explanation, HistoryLine};
use dps_domain::explain::SeenAt;
use dps_domain::{FailureCode, Status, Timestamp};
use serde_json::Value;

use crate::page::{Page, took};

/// Digits of a fingerprint in a table.
const SHORT: usize = 16;

/// The effect of an action, shown once above the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The next step is due.
    Retried,
    /// The renewal is due.
    Renewed,
    /// The check of DNS is due.
    Rechecked,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "domain.html")]
pub struct DomainView {
    /// The frame.
    pub page: Page,
    /// The domain.
    pub detail: DomainDetail,
    /// Where it stands.
    pub explanation: Explanation,
    /// The effect of the last action.
    pub notice: Option<Notice>,
}

/// A line of state, with the colour of its edge.
struct State {
    tone: &'static str,
    text: &'static str,
}

/// A form that acts.
struct Acting {
    /// The last segment of its path.
    call: &'static str,
    text: &'static str,
    help: &'static str,
}

struct Window {
    start: Timestamp,
    end: Timestamp,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    reason = "templates call methods of the view, with references"
)]
impl DomainView {
    fn notice_text(&self) -> Option<&'static str> {
        let t = self.page.t();
        self.notice.map(|notice| match notice {
            Notice::Retried => t.retried,
            Notice::Renewed => t.renewed,
            Notice::Rechecked => t.rechecked,
        })
    }

    /// Where the name leads.
    fn name(&self) -> State {
        let t = self.page.t();
        let domain = &self.detail.domain;
        if let Some(code) = domain.code
            && let Some(state) = self.name_of(code)
        {
            return state;
        }
        let (tone, text) = match domain.status {
            Status::PendingDns => ("wait", t.name_unchecked),
            _ => ("good", t.name_here),
        };
        State { tone, text }
    }

    /// Where the name leads, if the code says so.
    fn name_of(&self, code: FailureCode) -> Option<State> {
        let t = self.page.t();
        let begins = |start: &str| code.as_str().starts_with(start);
        let (tone, text) = if code == FailureCode::DnsMoved {
            ("bad", t.name_moved)
        } else if begins("NAME_") || begins("TARGET_") {
            ("bad", t.name_refused)
        } else if begins("DNS_") || begins("HTTP_") || begins("CDN_") {
            ("bad", t.name_wrong)
        } else {
            return None;
        };
        Some(State { tone, text })
    }

    fn certificate(&self) -> State {
        let t = self.page.t();
        let domain = &self.detail.domain;
        let (tone, text) = match (&domain.renewal, domain.status, &*domain.phase) {
            (Some(renewal), _, _) if renewal.not_after <= self.page.now => {
                ("bad", t.certificate_ended)
            }
            (Some(renewal), _, _) if renewal.renew_at.is_none() => ("good", t.certificate_renewing),
            (Some(_), _, _) => ("good", t.certificate_served),
            (None, _, "expired") => ("bad", t.certificate_ended),
            (None, Status::Issuing, _) => ("wait", t.certificate_issuing),
            (None, _, _) => ("wait", t.certificate_none),
        };
        State { tone, text }
    }

    fn seen_at(&self, kind: &SeenAt) -> &'static str {
        let t = self.page.t();
        match kind {
            SeenAt::Resolver => t.kind_resolver,
            SeenAt::Authoritative => t.kind_authoritative,
        }
    }

    /// The beginning of a fingerprint, which tells certificates apart.
    fn short(&self, fingerprint: &str) -> String {
        let short: String = fingerprint.chars().take(SHORT).collect();
        format!("{short}…")
    }

    /// The fields of the last failure.
    fn evidence(&self) -> Vec<(String, String)> {
        let failure = self.detail.domain.last_failure.as_ref();
        let value = failure.and_then(|failure| serde_json::to_value(failure).ok());
        let Some(Value::Object(fields)) = value else {
            return Vec::new();
        };
        let fields = fields.into_iter().filter(|(name, _)| name != "code");
        fields.map(|(name, value)| (name, shown(&value))).collect()
    }

    fn newest_first(&self) -> impl Iterator<Item = &HistoryLine> {
        self.detail.events.iter().rev()
    }

    fn event_detail(&self, line: &HistoryLine) -> Option<String> {
        let is_empty = match &line.detail {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        (!is_empty).then(|| format!("{:#}", line.detail))
    }

    fn took(&self, line: &HistoryLine) -> String {
        line.duration_ms.map_or_else(String::new, took)
    }

    /// The explanation of the CA, if it is an address that a browser may open.
    fn ca_explanation(&self) -> Option<&str> {
        let renewal = self.detail.domain.renewal.as_ref()?;
        let url = renewal.explanation_url.as_deref()?;
        url.starts_with("https://").then_some(url)
    }

    /// The window that the CA suggests for the renewal.
    fn window(&self) -> Option<Window> {
        let window = self.detail.domain.renewal.as_ref()?.window?;
        Some(Window {
            start: window.start(),
            end: window.end(),
        })
    }

    /// The actions that the person may take, the most likely first.
    fn actions(&self) -> Vec<Acting> {
        let (t, domain) = (self.page.t(), &self.detail.domain);
        let is_live = domain.renewal.is_some();
        let retry = Acting {
            call: "retry",
            text: t.retry,
            help: t.retry_help,
        };
        let recheck = Acting {
            call: "recheck",
            text: t.recheck,
            help: t.recheck_help,
        };
        let renew = Acting {
            call: "renew",
            text: t.renew,
            help: t.renew_help,
        };
        match (self.page.is_operator(), is_live, domain.code) {
            (false, _, _) => vec![],
            (true, false, _) => vec![retry],
            (true, true, None) => vec![recheck, renew],
            (true, true, Some(_)) => vec![retry, recheck, renew],
        }
    }

    /// Whether there is a certificate that the edge should present or does.
    fn is_comparable(&self, presented: &Option<String>) -> bool {
        self.explanation.certificate.is_some() || presented.is_some()
    }
}

/// A JSON value for people: a list with commas, anything else as it is.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
