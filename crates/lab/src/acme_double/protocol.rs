//! The part of RFC 8555 that a client must see to go on.

use std::collections::{HashMap, HashSet, VecDeque};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::{Endpoint, Fault, Reply};
use super::renewal_info::RenewalInfo;
use super::wire::Request;

const JSON: &str = "application/json";
/// Not a certificate: what matters here is whether it arrives.
const CHAIN: &str =
    "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";

/// The double's memory.
#[derive(Debug)]
pub(super) struct Ca {
    base: String,
    pub(super) faults: VecDeque<(Endpoint, Fault)>,
    pub(super) seen: Vec<Endpoint>,
    pub(super) user_agent: String,
    pub(super) nonces: HashSet<String>,
    pub(super) processing: Option<String>,
    pub(super) renewal_info: RenewalInfo,
    nonces_made: u64,
    /// By number.
    orders: HashMap<String, Order>,
}

#[derive(Debug)]
struct Order {
    host: String,
    status: &'static str,
    /// As it is shown.
    replaces: Option<String>,
}

impl Ca {
    pub(super) fn new(base: String) -> Self {
        Self {
            base,
            faults: VecDeque::new(),
            seen: Vec::new(),
            user_agent: String::new(),
            nonces: HashSet::new(),
            processing: None,
            renewal_info: RenewalInfo::default(),
            nonces_made: 0,
            orders: HashMap::new(),
        }
    }

    /// Returns the behaviour for a request; a good answer is a [`Fault::Reply`] as well.
    pub(super) fn answer(&mut self, request: &Request) -> Fault {
        let Some((endpoint, number)) = route(&request.path) else {
            return Fault::Reply(Reply::problem(404, "malformed", "no such resource"));
        };
        self.seen.push(endpoint);
        self.user_agent.clone_from(&request.user_agent);
        let injected = self.faults.iter().position(|(place, _)| *place == endpoint);
        if let Some((_, fault)) = injected.and_then(|index| self.faults.remove(index)) {
            return match fault {
                Fault::BadNonce => Fault::Reply(self.refuse_nonce()),
                other => other,
            };
        }
        if request.method != "POST" {
            return Fault::Reply(match endpoint {
                Endpoint::Directory => self.directory(),
                Endpoint::NewNonce => {
                    let nonce = self.nonce();
                    Reply::new(200, JSON, "").header("Replay-Nonce", &nonce)
                }
                Endpoint::RenewalInfo => self.renewal_info.answer(number),
                _ => Reply::problem(405, "malformed", "resources are fetched by POST"),
            });
        }
        let Some((nonce, payload)) = open(&request.body) else {
            return Fault::Reply(Reply::problem(400, "malformed", "not a JWS"));
        };
        if !self.nonces.remove(&nonce) {
            return Fault::Reply(self.refuse_nonce());
        }
        let reply = self.serve(endpoint, number, &payload);
        let nonce = self.nonce();
        Fault::Reply(reply.header("Replay-Nonce", &nonce))
    }

    fn serve(&mut self, endpoint: Endpoint, number: &str, payload: &Value) -> Reply {
        let base = self.base.clone();
        match endpoint {
            Endpoint::NewAccount => {
                let reply = Reply::new(200, JSON, json!({ "status": "valid" }).to_string());
                return reply.header("Location", &format!("{base}/account/1"));
            }
            Endpoint::NewOrder => {
                let replaces = match self.renewal_info.replace(payload["replaces"].as_str()) {
                    Ok(replaces) => replaces,
                    Err(refusal) => return refusal,
                };
                let number = (self.orders.len() + 1).to_string();
                let host = payload["identifiers"][0]["value"]
                    .as_str()
                    .unwrap_or_default();
                let order = Order {
                    host: host.to_owned(),
                    status: "pending",
                    replaces,
                };
                self.orders.insert(number.clone(), order);
                let location = format!("{base}/order/{number}");
                return Reply {
                    status: 201,
                    ..self.order(&number)
                }
                .header("Location", &location);
            }
            _ => {}
        }
        let processing = self.processing.clone();
        let Some(Order { host, status, .. }) = self.orders.get_mut(number) else {
            return Reply::problem(404, "malformed", "no such order");
        };
        match endpoint {
            Endpoint::Authorization => {
                let done = *status != "pending";
                return Reply::new(
                    200,
                    JSON,
                    authorization(&base, number, host, done).to_string(),
                );
            }
            Endpoint::Challenge => {
                *status = "ready";
                return Reply::new(200, JSON, challenge(&base, number, true).to_string());
            }
            Endpoint::Certificate => {
                return Reply::new(200, "application/pem-certificate-chain", CHAIN);
            }
            Endpoint::Finalize if processing.is_some() => *status = "processing",
            Endpoint::Finalize => *status = "valid",
            _ if *status == "processing" && processing.is_none() => *status = "valid",
            _ => {}
        }
        let slow = *status == "processing";
        let reply = self.order(number);
        match self.processing.take_if(|_| slow) {
            Some(retry_after) => reply.header("Retry-After", &retry_after),
            None => reply,
        }
    }

    fn directory(&self) -> Reply {
        let base = &self.base;
        let mut directory = json!({
            "newNonce": format!("{base}/new-nonce"),
            "newAccount": format!("{base}/new-account"),
            "newOrder": format!("{base}/new-order"),
            "revokeCert": format!("{base}/revoke"),
            "keyChange": format!("{base}/key-change"),
        });
        if self.renewal_info.is_offered() {
            directory["renewalInfo"] = format!("{base}/renewal-info").into();
        }
        Reply::new(200, JSON, directory.to_string())
    }

    fn order(&self, number: &str) -> Reply {
        let base = &self.base;
        let Order {
            host,
            status,
            replaces,
        } = &self.orders[number];
        let mut order = json!({
            "status": status,
            "identifiers": [{ "type": "dns", "value": host }],
            "authorizations": [format!("{base}/authorization/{number}")],
            "finalize": format!("{base}/finalize/{number}"),
        });
        if let Some(replaces) = replaces {
            order["replaces"] = replaces.as_str().into();
        }
        if *status == "valid" {
            order["certificate"] = format!("{base}/certificate/{number}").into();
        }
        Reply::new(200, JSON, order.to_string())
    }

    fn nonce(&mut self) -> String {
        self.nonces_made += 1;
        let nonce = format!("nonce-{}", self.nonces_made);
        self.nonces.insert(nonce.clone());
        nonce
    }

    fn refuse_nonce(&mut self) -> Reply {
        let nonce = self.nonce();
        Reply::problem(400, "badNonce", "that nonce is not good").header("Replay-Nonce", &nonce)
    }
}

fn route(path: &str) -> Option<(Endpoint, &str)> {
    let (kind, number) = path
        .strip_prefix('/')?
        .split_once('/')
        .unwrap_or((&path[1..], ""));
    let endpoint = match kind {
        "directory" => Endpoint::Directory,
        "new-nonce" => Endpoint::NewNonce,
        "new-account" => Endpoint::NewAccount,
        "new-order" => Endpoint::NewOrder,
        "order" => Endpoint::Order,
        "authorization" => Endpoint::Authorization,
        "challenge" => Endpoint::Challenge,
        "finalize" => Endpoint::Finalize,
        "certificate" => Endpoint::Certificate,
        "renewal-info" => Endpoint::RenewalInfo,
        _ => return None,
    };
    Some((endpoint, number))
}

/// Nonce and payload of a flattened JWS (RFC 7515 §7.2.2); the signature is believed.
fn open(body: &[u8]) -> Option<(String, Value)> {
    #[derive(Deserialize)]
    struct Jws {
        protected: String,
        payload: String,
    }
    #[derive(Deserialize)]
    struct Header {
        nonce: String,
    }
    let jws: Jws = serde_json::from_slice(body).ok()?;
    let header = BASE64_URL_SAFE_NO_PAD.decode(jws.protected).ok()?;
    let header: Header = serde_json::from_slice(&header).ok()?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(jws.payload).ok()?;
    Some((
        header.nonce,
        serde_json::from_slice(&payload).unwrap_or(Value::Null),
    ))
}

fn authorization(base: &str, number: &str, host: &str, done: bool) -> Value {
    json!({
        "status": if done { "valid" } else { "pending" },
        "identifier": { "type": "dns", "value": host },
        "challenges": [challenge(base, number, done)],
    })
}

fn challenge(base: &str, number: &str, done: bool) -> Value {
    json!({
        "type": "http-01",
        "status": if done { "valid" } else { "pending" },
        "url": format!("{base}/challenge/{number}"),
        "token": format!("token-{number}"),
    })
}
