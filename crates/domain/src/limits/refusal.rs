//! The limit that a CA's refusal means.

use super::published::{Endpoint, LimitKind};

/// The limit that a refusal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The limit that refused.
    pub kind: LimitKind,
    /// The registered domain or identifier, if the CA names it.
    pub subject: Option<String>,
}

impl Refused {
    /// Reads the words of a 429 that came from `endpoint`. Boulder names the limit
    /// (`ratelimits/limiter.go`); unknown words count as the account's limit at that endpoint.
    pub fn read(detail: &str, endpoint: Endpoint) -> Self {
        let words = detail.to_ascii_lowercase();
        let says = |phrase| words.contains(phrase);
        let kind = if says("exact set of") {
            LimitKind::ExactSet
        } else if says("already issued for") {
            LimitKind::RegisteredDomain
        } else if says("failed authorizations") || says("failed validations") {
            LimitKind::FailedValidations
        } else if says("new orders") {
            LimitKind::NewOrders
        } else if says("new registrations") || says("new accounts") {
            LimitKind::NewAccounts
        } else {
            return Self {
                kind: Self::of_endpoint(endpoint),
                subject: None,
            };
        };
        let has_subject = matches!(
            kind,
            LimitKind::RegisteredDomain | LimitKind::FailedValidations
        );
        Self {
            kind,
            subject: has_subject.then(|| quoted(&words)).flatten(),
        }
    }

    /// A 503 means that requests come too fast, or that the CA has a fault. The two cannot be
    /// distinguished, and the wait is the same.
    pub const fn overload(endpoint: Endpoint) -> Self {
        Self {
            kind: LimitKind::Requests(endpoint),
            subject: None,
        }
    }

    const fn of_endpoint(endpoint: Endpoint) -> LimitKind {
        match endpoint {
            Endpoint::NewOrder => LimitKind::NewOrders,
            Endpoint::NewAccount => LimitKind::NewAccounts,
            Endpoint::Directory
            | Endpoint::NewNonce
            | Endpoint::RevokeCert
            | Endpoint::RenewalInfo
            | Endpoint::Other => LimitKind::Requests(endpoint),
        }
    }
}

/// The first name in quotation marks.
fn quoted(words: &str) -> Option<String> {
    let name = words.split('"').nth(1)?;
    let is_name = !name.is_empty()
        && name.len() <= 253
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(detail: &str) -> (LimitKind, Option<String>) {
        let refused = Refused::read(detail, Endpoint::NewOrder);
        (refused.kind, refused.subject)
    }

    #[test]
    fn each_limit_is_known_by_the_words_that_only_it_has() {
        let orders = "too many new orders (300) from this account in the last 3h0m0s, retry after 2026-11-24 03:00:00 UTC";
        assert_eq!(read(orders), (LimitKind::NewOrders, None));
        let set = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s";
        assert_eq!(read(set), (LimitKind::ExactSet, None));
        let domain =
            "too many certificates (50) already issued for \"Example.COM\" in the last 168h0m0s";
        assert_eq!(
            read(domain),
            (LimitKind::RegisteredDomain, Some("example.com".into()))
        );
        let failed =
            "too many failed authorizations (5) for \"shop.example.com\" in the last 1h0m0s";
        assert_eq!(
            read(failed),
            (
                LimitKind::FailedValidations,
                Some("shop.example.com".into())
            )
        );
        let accounts = "too many new registrations (10) from this IP address in the last 3h0m0s";
        assert_eq!(read(accounts), (LimitKind::NewAccounts, None));
    }

    #[test]
    fn words_that_nobody_knows_mean_the_account_at_that_endpoint() {
        assert_eq!(read("slow down"), (LimitKind::NewOrders, None));
        assert_eq!(
            Refused::read("slow down", Endpoint::Other).kind,
            LimitKind::Requests(Endpoint::Other)
        );
        assert_eq!(
            Refused::read("", Endpoint::NewAccount).kind,
            LimitKind::NewAccounts
        );
    }

    #[test]
    fn what_stands_in_quotation_marks_but_is_no_name_is_not_believed() {
        let odd = "already issued for \"x\u{0}' OR 1\" today";
        assert_eq!(read(odd), (LimitKind::RegisteredDomain, None));
        assert_eq!(read("already issued for \"\"").1, None);
    }
}
