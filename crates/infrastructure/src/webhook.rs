//! Receivers of webhooks over HTTP, with the headers and the signature of Standard Webhooks.
//!
//! The operator chose the URL, and the receiver may still be slow, wrong or another party's. So
//! [`HttpWebhook`] bounds each call in time and size, follows no redirect and uses no proxy. It
//! connects to no private address unless the operator allows it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_application::ports::webhooks::{WebhookEndpoint, WebhookError, WebhookMessage};
use dps_domain::Timestamp;
use dps_domain::address::refused_kind;
use dps_domain::text::shown;
use http::header::CONTENT_TYPE;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Response, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::retry_after;

/// Longest time of a call, to the end of the answer that is read.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for the TCP and TLS connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a refusal that are read.
const MAX_ANSWER_BYTES: usize = 4096;
/// Characters of a refusal that are logged.
const MAX_DETAIL_CHARS: usize = 200;
/// The beginning of a secret in the form of Standard Webhooks.
const SECRET_PREFIX: &str = "whsec_";
/// Shortest key, in bytes.
const MIN_KEY_BYTES: usize = 24;

/// A secret that cannot sign. The text never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// Not base64 after the prefix.
    #[error("is not base64 after whsec_")]
    NotBase64,
    /// Too short.
    #[error("holds fewer than {MIN_KEY_BYTES} bytes; `openssl rand -base64 32` makes a secret")]
    TooShort,
}

/// The key that signs messages to one receiver.
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads `whsec_` and base64, as Standard Webhooks writes it, or else takes the text as it is.
    ///
    /// # Errors
    /// When the text is no secret, or too short a one.
    pub fn parse(secret: &SecretString) -> Result<Self, SecretFault> {
        let text = secret.expose_secret();
        let bytes = match text.strip_prefix(SECRET_PREFIX) {
            Some(encoded) => STANDARD
                .decode(encoded)
                .map_err(|_| SecretFault::NotBase64)?,
            None => text.as_bytes().to_vec(),
        };
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < MIN_KEY_BYTES {
            return Err(SecretFault::TooShort);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &str) -> String {
        let signed = format!("{id}.{}.{body}", at.unix_seconds());
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

/// The addresses at which a receiver may be.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    /// Whether private and loopback addresses are allowed.
    pub allow_private: bool,
    /// Networks of addresses that are refused in any case.
    pub forbidden_networks: Vec<IpNet>,
}

impl AddressRules {
    /// The reason why an address must not be connected to; `None` if it may be.
    fn refusal(&self, address: IpAddr) -> Option<String> {
        let kind = refused_kind(address, self.allow_private, &self.forbidden_networks)?;
        let remedy = if self.allow_private {
            "see Workers:HttpProbe:ForbiddenNetworks"
        } else {
            "set AllowPrivateAddresses of this receiver if that is intended"
        };
        Some(format!("{address} is a {kind} address; {remedy}"))
    }
}

/// A receiver over HTTP. Its connections are its own.
pub struct HttpWebhook {
    http: reqwest::Client,
    name: String,
    url: Url,
    key: SigningKey,
    rules: Arc<AddressRules>,
}

impl HttpWebhook {
    /// The receiver of this name at `url`.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(
        name: String,
        url: Url,
        key: SigningKey,
        rules: AddressRules,
    ) -> Result<Self, WebhookError> {
        let rules = Arc::new(rules);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .dns_resolver(Arc::new(Addresses(Arc::clone(&rules))))
            .user_agent(concat!("dps/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unreachable(format!("no HTTP client can be built: {error}")))?;
        Ok(Self {
            http,
            name,
            url,
            key,
            rules,
        })
    }

    /// An address in the URL is not looked up, so [`Addresses`] does not see it.
    fn refused_literal(&self) -> Option<String> {
        let address: IpAddr = match self.url.host()? {
            Host::Domain(_) => return None,
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
        };
        self.rules.refusal(address)
    }

    /// A text of the receiver without our URL, which an error page may repeat.
    fn masked(&self, text: &str) -> String {
        let path = self.url.path();
        let target = self.url.query().map(|query| format!("{path}?{query}"));
        let parts = [target.as_deref(), Some(path), self.url.query()];
        let parts = parts.into_iter().flatten().filter(|part| part.len() > 1);
        parts.fold(text.to_owned(), |text, part| text.replace(part, "…"))
    }
}

#[async_trait]
impl WebhookEndpoint for HttpWebhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, message: WebhookMessage<'_>) -> Result<(), WebhookError> {
        if let Some(detail) = self.refused_literal() {
            return Err(unreachable(detail));
        }
        let WebhookMessage { id, at, body } = message;
        let call = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at.unix_seconds())
            .header("webhook-signature", self.key.sign(id, at, body))
            .body(body.to_owned());
        let answer = call.send().await.map_err(|error| {
            // The URL may hold a token.
            let detail = dps_domain::with_causes(&error.without_url());
            unreachable(format!("it did not answer: {detail}"))
        })?;
        if answer.status().is_success() {
            return Ok(());
        }
        let (status, retry_after) = (
            answer.status(),
            retry_after::read(answer.headers(), Some(at)),
        );
        let text = self.masked(&beginning(answer).await);
        let note = if status.is_redirection() {
            ", and redirects are not followed"
        } else {
            ""
        };
        Err(WebhookError {
            is_unreachable: status.is_server_error() && retry_after.is_some(),
            detail: format!(
                "it answered {status}{note}: {}",
                shown(&text, MAX_DETAIL_CHARS)
            ),
            retry_after,
        })
    }
}

/// The beginning of the body of an answer; the rest is not read.
async fn beginning(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() >= MAX_ANSWER_BYTES {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

const fn unreachable(detail: String) -> WebhookError {
    WebhookError {
        is_unreachable: true,
        detail,
        retry_after: None,
    }
}

/// The addresses of a name, without those that must not be connected to. Only these are connected
/// to, so a second answer of the DNS cannot lead elsewhere.
struct Addresses(Arc<AddressRules>);

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| {
                    let refusal = rules.refusal(address.ip());
                    let is_allowed = refusal.is_none();
                    refused = refused.take().or(refusal);
                    is_allowed
                })
                .collect();
            match refused {
                Some(reason) if allowed.is_empty() => Err(reason.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use dps_lab::web::{Answer, WebServer};

    use super::*;

    const BODY: &str = r#"{"type":"domain.active"}"#;

    fn key(text: &str) -> Result<SigningKey, SecretFault> {
        SigningKey::parse(&SecretString::from(text.to_owned()))
    }

    fn at(url: &str, rules: AddressRules) -> HttpWebhook {
        let (name, key) = ("receiver".to_owned(), key(&"k".repeat(24)).unwrap());
        HttpWebhook::new(name, url.parse().unwrap(), key, rules).unwrap()
    }

    fn private() -> AddressRules {
        AddressRules {
            allow_private: true,
            forbidden_networks: vec![],
        }
    }

    fn content(status: u16, body: &str) -> Answer {
        Answer::Content {
            status,
            body: body.to_owned(),
        }
    }

    async fn server(answer: Answer) -> WebServer {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        WebServer::start(any, answer).await.unwrap()
    }

    const MESSAGE: WebhookMessage<'static> = WebhookMessage {
        id: "msg_1",
        at: Timestamp::from_unix_seconds(1_800_000_000),
        body: BODY,
    };

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // The example of the reference library.
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let at = Timestamp::from_unix_seconds(1_614_265_330);
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    /// The block of the guide for receivers that begins with this word.
    fn block_of_guide(language: &str) -> &'static str {
        let guide = include_str!("../../../docs/webhooks.md");
        let (_, rest) = guide.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0
    }

    #[test]
    fn the_script_of_the_guide_accepts_our_messages_and_no_others() {
        let at = Timestamp::from_unix_seconds(1_800_000_000);
        let (id, body) = ("msg_1", "{\"name\": \"größer\"}\n");
        for secret in [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "a text of 24 bytes or so",
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("secret"), format!("{secret}\n")).unwrap();
            let signature = key(secret).unwrap().sign(id, at, body);
            let accepts = |body: &str, timestamp: &str| {
                std::fs::write(folder.path().join("body"), body).unwrap();
                let ran = std::process::Command::new("sh")
                    .args(["-euc", block_of_guide("sh")])
                    .current_dir(&folder)
                    .env("WEBHOOK_ID", id)
                    .env("WEBHOOK_TIMESTAMP", timestamp)
                    .env("WEBHOOK_SIGNATURE", &signature)
                    .output()
                    .unwrap();
                assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
                ran.status.success()
            };
            assert!(accepts(body, "1800000000"));
            assert!(!accepts("{}", "1800000000") && !accepts(body, "1800000001"));
        }
    }

    #[test]
    fn a_secret_has_24_bytes_in_either_form() {
        assert!(key(&"x".repeat(24)).is_ok());
        assert_eq!(key(&"x".repeat(23)).err(), Some(SecretFault::TooShort));
        let encoded = |bytes: &[u8]| format!("whsec_{}", STANDARD.encode(bytes));
        assert!(key(&encoded(&[7; 24])).is_ok());
        assert_eq!(key(&encoded(&[7; 23])).err(), Some(SecretFault::TooShort));
        assert_eq!(key("whsec_no!").err(), Some(SecretFault::NotBase64));
    }

    #[tokio::test]
    async fn any_success_is_one_however_long_its_body_and_nothing_else_is() {
        let server = server(Answer::Endless).await;
        let receiver = at(&format!("http://{}/hook", server.address()), private());
        receiver.send(MESSAGE).await.unwrap();
        let [call] = &server.received()[..] else {
            panic!("one call");
        };
        assert_eq!(call.body, BODY);
        let head = call.head.to_ascii_lowercase();
        assert!(head.contains("webhook-id: msg_1\r\n"), "{head}");
        assert!(head.contains("webhook-timestamp: 1800000000\r\n"), "{head}");

        let long = "no\n".repeat(1_000_000);
        server.set_answer(content(500, &long));
        let error = receiver.send(MESSAGE).await.unwrap_err();
        assert!(!error.is_unreachable, "{error}");
        assert!(error.detail.len() < 400, "{error}");
        server.set_answer(Answer::Redirect {
            status: 302,
            location: "/elsewhere".into(),
        });
        let error = receiver.send(MESSAGE).await.unwrap_err();
        assert!(
            error.detail.contains("redirects are not followed"),
            "{error}"
        );
        assert_eq!(server.received().len(), 3);
        server.set_answer(Answer::Close);
        assert!(receiver.send(MESSAGE).await.unwrap_err().is_unreachable);
    }

    #[tokio::test]
    async fn private_addresses_are_called_only_if_the_operator_allows_it() {
        let server = server(content(204, "")).await;
        let port = server.address().port();
        let forbidden = AddressRules {
            forbidden_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            ..private()
        };
        for (rules, allowed) in [
            (AddressRules::default(), false),
            (forbidden, false),
            (private(), true),
        ] {
            for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
                let sent = at(&format!("http://{host}:{port}/"), rules.clone())
                    .send(MESSAGE)
                    .await;
                // The server listens on IPv4 alone, so the mapped form may fail to connect.
                if !allowed || host != "[::ffff:127.0.0.1]" {
                    assert_eq!(sent.is_ok(), allowed, "{host} {sent:?}");
                }
                let detail = sent.err().map(|error| error.detail).unwrap_or_default();
                assert_eq!(detail.contains("address; s"), !allowed, "{host} {detail}");
            }
        }
    }

    #[tokio::test]
    async fn an_error_never_holds_the_secret_parts_of_the_url() {
        let page = "no such page: /services/t0ken?key=hunter2 (query key=hunter2)";
        let server = server(content(404, page)).await;
        let address = server.address();
        let url = format!("http://{address}/services/t0ken?key=hunter2");
        let refused = at(&url, private()).send(MESSAGE).await.unwrap_err();
        assert!(refused.detail.contains("404"), "{refused}");
        server.set_answer(Answer::Close);
        let unreachable = at(&url, private()).send(MESSAGE).await.unwrap_err();
        for error in [refused, unreachable] {
            let text = format!("{error} {error:?}");
            assert!(
                !text.contains("t0ken") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_hangs_costs_a_bounded_time() {
        let server = server(Answer::Unanswered).await;
        let receiver = at(&format!("http://{}/", server.address()), private());
        let began = tokio::time::Instant::now();
        let error = receiver.send(MESSAGE).await.unwrap_err();
        assert!(error.is_unreachable, "{error}");
        assert!(began.elapsed() <= TOTAL_TIMEOUT + Duration::from_secs(1));
    }
}
