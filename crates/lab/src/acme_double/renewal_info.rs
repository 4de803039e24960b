//! Renewal information and the replacing of certificates (RFC 9773), as Let's Encrypt does it.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::fault::{Reply, Suggestion};

/// The renewal information of certificates, by their identifiers.
#[derive(Debug, Default)]
pub(super) struct RenewalInfo {
    offered: bool,
    hides_replaces: bool,
    suggestions: HashMap<String, Suggestion>,
    replaced: HashSet<String>,
}

impl RenewalInfo {
    pub(super) fn offer(&mut self) {
        self.offered = true;
    }

    pub(super) const fn is_offered(&self) -> bool {
        self.offered
    }

    pub(super) fn suggest(&mut self, ari_id: &str, suggestion: Suggestion) {
        self.suggestions.insert(ari_id.to_owned(), suggestion);
    }

    pub(super) fn is_replaced(&self, ari_id: &str) -> bool {
        self.replaced.contains(ari_id)
    }

    pub(super) fn hide_replaces(&mut self) {
        self.hides_replaces = true;
    }

    /// The answer to a poll about one certificate.
    pub(super) fn answer(&self, ari_id: &str) -> Reply {
        let Some(suggestion) = self.suggestions.get(ari_id).filter(|_| self.offered) else {
            return Reply::problem(404, "malformed", "no such certificate");
        };
        let mut info = json!({
            "suggestedWindow": { "start": suggestion.start, "end": suggestion.end },
        });
        if let Some(url) = &suggestion.explanation_url {
            info["explanationURL"] = url.as_str().into();
        }
        let reply = Reply::new(200, "application/json", info.to_string());
        match &suggestion.retry_after {
            Some(retry_after) => reply.header("Retry-After", retry_after),
            None => reply,
        }
    }

    /// Takes or refuses an order's `replaces`; answers what the order shows of it.
    pub(super) fn replace(&mut self, ari_id: Option<&str>) -> Result<Option<String>, Reply> {
        let Some(ari_id) = ari_id else {
            return Ok(None);
        };
        if !self.offered {
            return Err(Reply::problem(
                400,
                "malformed",
                "an unknown field: replaces",
            ));
        }
        if !self.suggestions.contains_key(ari_id) {
            return Err(Reply::problem(
                404,
                "malformed",
                "the certificate to be replaced is not known",
            ));
        }
        if !self.replaced.insert(ari_id.to_owned()) {
            let detail = "the certificate was replaced by another order already";
            return Err(Reply::problem(409, "alreadyReplaced", detail));
        }
        Ok((!self.hides_replaces).then(|| ari_id.to_owned()))
    }
}
