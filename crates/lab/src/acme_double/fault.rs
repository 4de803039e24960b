//! Faults and their places.

use serde_json::json;

/// A resource of the double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The directory (RFC 8555 §7.1.1).
    Directory,
    /// newNonce (§7.2).
    NewNonce,
    /// newAccount (§7.3).
    NewAccount,
    /// newOrder (§7.4).
    NewOrder,
    /// An order (§7.1.3).
    Order,
    /// An authorization (§7.1.4).
    Authorization,
    /// A challenge (§7.1.5).
    Challenge,
    /// An order's finalize URL (§7.4).
    Finalize,
    /// An order's certificate (§7.4.2).
    Certificate,
    /// A certificate's renewal information (RFC 9773 §4.1).
    RenewalInfo,
}

/// Renewal information (RFC 9773 §4.2). Texts, so that they may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Start of the window.
    pub start: String,
    /// End of the window.
    pub end: String,
    /// Where it is explained.
    pub explanation_url: Option<String>,
    /// The `Retry-After` of the answer.
    pub retry_after: Option<String>,
}

impl Suggestion {
    /// A window without explanation, to be asked for again in six hours.
    pub fn new(start: &dyn ToString, end: &dyn ToString) -> Self {
        Self {
            start: start.to_string(),
            end: end.to_string(),
            explanation_url: None,
            retry_after: Some("21600".to_owned()),
        }
    }
}

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header fields besides `Content-Length` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A response with a body of the given media type.
    pub fn new(status: u16, media_type: &str, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), media_type.to_owned())],
            body: body.into(),
        }
    }

    /// A problem document of a type of RFC 8555 §6.7, named without its prefix.
    pub fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let body = json!({ "type": kind, "detail": detail, "status": status });
        Self::new(status, "application/problem+json", body.to_string())
    }

    /// A limit that is reached, with the seconds after which to come again (RFC 8555 §6.6).
    pub fn rate_limited(detail: &str, retry_after_seconds: u32) -> Self {
        Self::problem(429, "rateLimited", detail)
            .header("Retry-After", &retry_after_seconds.to_string())
    }

    /// A name that is paused for this account until a human follows `link`: there is no
    /// `Retry-After`.
    pub fn paused(name: &str, link: &str) -> Self {
        let detail = format!(
            "this account is temporarily prevented from requesting certificates for {name}; unpause it at {link}"
        );
        Self::problem(429, "rateLimited", &detail)
    }

    /// The page of some box in between.
    pub fn html(status: u16) -> Self {
        Self::new(
            status,
            "text/html",
            format!("<html><body><h1>{status}</h1></body></html>"),
        )
    }

    /// With one more header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The double's behaviour instead of a right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers this.
    Reply(Reply),
    /// Refuses the nonce, however good, and gives a new one.
    BadNonce,
    /// Promises a body and closes in the middle of it.
    CutBody,
    /// Sends a body that does not end.
    HugeBody,
    /// Sends the beginning of a body and then nothing.
    SlowBody,
    /// Closes without a word.
    HangUp,
}
