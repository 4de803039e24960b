//! Requests and the comparison of their answers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, StatusCode};
use serde_json::Value;
use url::Url;

use crate::KnownValues;
use crate::document::{Call, Document, Place};
use crate::generate::Generator;

/// Longest text of a parameter, in bytes. Servers bound the head of a request before they read it.
const MAX_PARAMETER_BYTES: usize = 2_000;
/// Longest text of a member of a body, in bytes: beyond the bodies that our servers accept.
const MAX_MEMBER_BYTES: usize = 300_000;
/// Time for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
const PROBLEM: &str = "application/problem+json";

/// A check of an API that runs.
#[derive(Debug)]
pub struct ApiCheck {
    /// The document that the API must keep.
    pub document: Document,
    /// The API's address.
    pub base: Url,
    /// The tokens by the beginning of the paths for which they are; the first that fits is sent.
    pub tokens: Vec<(&'static str, String)>,
    /// Good values.
    pub known: KnownValues,
    /// Statuses from 500 on that are no fault here.
    pub allowed_faults: Vec<u16>,
    /// Requests for each call.
    pub requests: usize,
    /// The seed of the generated requests: the same seed gives the same requests.
    pub seed: u64,
}

/// The answers of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// How often each status was answered, by call.
    pub statuses: BTreeMap<String, BTreeMap<u16, usize>>,
}

/// Answers that the document does not allow, the first of each call.
#[derive(thiserror::Error)]
pub struct Violations(pub Vec<Violation>);

/// An answer that the document does not allow.
#[derive(Debug)]
pub struct Violation {
    /// Method, URL and body of the request.
    pub request: String,
    /// The status of the answer; 0 for none.
    pub status: u16,
    /// The violation.
    pub problem: String,
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.0 {
            writeln!(
                f,
                "{}\n  answer {}: {}",
                one.request, one.status, one.problem
            )?;
        }
        Ok(())
    }
}

/// As a person reads it, for `unwrap` in tests.
impl fmt::Debug for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl Report {
    /// The calls that never succeeded.
    pub fn without_success(&self) -> Vec<&str> {
        let failed = self.statuses.iter().filter(|(_, statuses)| {
            let mut statuses = statuses.keys();
            !statuses.any(|status| (200..300).contains(status))
        });
        failed.map(|(call, _)| call.as_str()).collect()
    }
}

impl ApiCheck {
    /// Sends the requests of every call, and returns the first violation of each call.
    pub async fn run(&self) -> Result<Report, Violations> {
        // A server that refuses a long body closes the connection, and the next request would meet
        // that.
        let client = Client::builder().timeout(TIMEOUT).pool_max_idle_per_host(0);
        let client = client.build();
        let client = client.unwrap_or_default();
        let mut generator = Generator {
            document: &self.document,
            known: &self.known,
            random: StdRng::seed_from_u64(self.seed),
            uses_known: false,
        };
        let (mut report, mut violations) = (Report::default(), Vec::new());
        // Removals come last, so that the other calls find something.
        let (removals, others): (Vec<_>, Vec<_>) = self
            .document
            .calls()
            .into_iter()
            .partition(|call| call.method == Method::DELETE);
        for call in others.into_iter().chain(removals) {
            let mut has_violation = false;
            for number in 0..self.requests {
                let Some(request) = self.request(&client, &call, &mut generator, number) else {
                    continue;
                };
                let words = words(&request);
                match self.answer(&client, &call, request).await {
                    Ok(status) => {
                        let statuses = report.statuses.entry(call.name()).or_default();
                        *statuses.entry(status.as_u16()).or_default() += 1;
                    }
                    Err((status, problem)) if !has_violation => {
                        has_violation = true;
                        violations.push(Violation {
                            request: words,
                            status,
                            problem,
                        });
                    }
                    Err(_) => {}
                }
            }
        }
        if violations.is_empty() {
            Ok(report)
        } else {
            Err(Violations(violations))
        }
    }

    /// A request; `None` if the generated one cannot be sent over HTTP. The first is always right,
    /// and a third of the others is wrong.
    fn request(
        &self,
        client: &Client,
        call: &Call,
        generator: &mut Generator<'_>,
        number: usize,
    ) -> Option<Request> {
        generator.uses_known = number == 0;
        let is_wrong = number > 0 && generator.chance(33);
        let (mut url, mut headers) = (self.base.clone(), Vec::new());
        let mut values = BTreeMap::new();
        for parameter in call.parameters() {
            let is_path = parameter.place == Place::Path;
            let is_left_out = match (parameter.is_required, is_path) {
                (_, true) => false,
                (true, _) => is_wrong && generator.chance(20),
                (false, _) => generator.chance(70),
            };
            if is_left_out {
                continue;
            }
            let mut text = plain(&generator.named(parameter.name, parameter.schema, 0));
            if is_wrong && generator.chance(40) {
                text = match generator.hostile(MAX_PARAMETER_BYTES) {
                    Value::String(text) => text,
                    _ => generator.hostile_text().to_owned(),
                };
            }
            match parameter.place {
                Place::Path => {
                    values.insert(parameter.name.to_owned(), text);
                }
                Place::Query => {
                    url.query_pairs_mut().append_pair(parameter.name, &text);
                }
                Place::Header => {
                    let name = HeaderName::from_bytes(parameter.name.as_bytes()).ok()?;
                    headers.push((name, HeaderValue::from_bytes(text.as_bytes()).ok()?));
                }
            }
        }
        put_path(&mut url, &call.path, &values)?;
        let mut request = client.request(call.method.clone(), url);
        let token = self
            .tokens
            .iter()
            .find(|(prefix, _)| call.path.starts_with(prefix));
        if let Some((_, token)) = token.filter(|_| call.is_guarded()) {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(schema) = call.body() {
            let mut body = generator.value(schema, 0);
            if is_wrong && generator.chance(80) {
                generator.spoil(&mut body, MAX_MEMBER_BYTES);
            }
            let mut text = body.to_string();
            if is_wrong && generator.chance(10) {
                text.truncate(text.len() / 2);
            }
            request = request.header(CONTENT_TYPE, "application/json").body(text);
        }
        request.build().ok()
    }

    async fn answer(
        &self,
        client: &Client,
        call: &Call,
        request: Request,
    ) -> Result<StatusCode, (u16, String)> {
        let sent = client.execute(request).await;
        let response = sent.map_err(|error| (0, error.to_string()))?;
        let status = response.status();
        let problem = |text: String| (status.as_u16(), text);
        let media_type = response.headers().get(CONTENT_TYPE);
        let media_type = media_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let media_type = media_type.unwrap_or_default().into_owned();
        let mut missing = call.answer_headers(status.as_u16());
        let missing = missing.find(|name| !response.headers().contains_key(*name));
        if let Some(name) = missing {
            return Err(problem(format!("the header {name} is missing")));
        }
        let body = response.bytes().await;
        let body = body.map_err(|error| problem(error.to_string()))?;
        if status.is_server_error() && !self.allowed_faults.contains(&status.as_u16()) {
            let text = String::from_utf8_lossy(&body);
            return Err(problem(format!("a fault of the server: {text}")));
        }
        // A parameter can make another path of the path, and so no call or another one.
        let is_another = matches!(status.as_u16(), 404 | 405) && call.path.contains('{');
        if is_another && media_type == PROBLEM {
            return Ok(status);
        }
        let Some(answers) = call.answers(status.as_u16()) else {
            let text = String::from_utf8_lossy(&body);
            return Err(problem(format!("the status is not documented: {text}")));
        };
        let found = answers
            .iter()
            .find(|(documented, _)| media_type.split(';').next() == Some(documented));
        let Some((documented, schema)) = found else {
            if answers.is_empty() && body.is_empty() {
                return Ok(status);
            }
            return Err(problem(format!(
                "media type {media_type:?} is not documented"
            )));
        };
        if documented.ends_with("json") {
            let value = serde_json::from_slice(&body);
            let value = value.map_err(|error| problem(format!("no JSON: {error}")))?;
            if let Some(misfit) = self.document.misfit(schema, &value) {
                return Err(problem(format!("the body does not fit: {misfit}: {value}")));
            }
        }
        Ok(status)
    }
}

/// Puts the values of parameters, percent-encoded, into the URL's path. `None` for a value that
/// makes another call of it: URLs have no segments of dots (RFC 3986 §5.2.4).
fn put_path(url: &mut Url, template: &str, values: &BTreeMap<String, String>) -> Option<()> {
    if values
        .values()
        .any(|value| matches!(value.as_str(), "." | ".."))
    {
        return None;
    }
    let mut segments = url.path_segments_mut().ok()?;
    segments.clear();
    for part in template.trim_start_matches('/').split('/') {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        segments.push(name.map_or(part, |name| values.get(name).map_or("", String::as_str)));
    }
    Some(())
}

/// The text of a value in a path, a query or a header.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A request for a person, without its token.
fn words(request: &Request) -> String {
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let body = String::from_utf8_lossy(body.unwrap_or_default());
    let body: String = body.chars().take(400).collect();
    format!("{} {} {body}", request.method(), request.url())
}
