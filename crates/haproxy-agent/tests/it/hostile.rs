//! Hostile apply requests against a real HAProxy. Each is refused with the reason, or served if it
//! is valid. A refusal changes nothing in HAProxy or on disk.
//!
//! `DPS_FUZZ_ROUNDS` and `DPS_FUZZ_SEED` lengthen and repeat the random part; the seed is printed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dps_agent_api::{ApplyRequest, Problem};
use dps_host::randomness;
use haproxy_domain_agent::runtime_api::{ListEntry, StoreListing};

use crate::authority::host;
use crate::corpus::{HOST, Specimen, Verdict, specimens};
use crate::default_certificate::presented;
use crate::world::{TOKEN, World};

/// Mutated requests in an ordinary run of the tests.
const ROUNDS: u64 = 600;

/// Everything that an apply could change.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    files: BTreeMap<PathBuf, Vec<u8>>,
    stores: StoreListing,
    list: Vec<ListEntry>,
}

async fn edge(world: &World) -> Edge {
    Edge {
        files: world.files(),
        stores: world.operator().stores().await.unwrap(),
        list: world.operator().list_entries(&world.list()).await.unwrap(),
    }
}

/// Sends the body as it is. A refusal must be a 4xx with a problem document that says what is
/// wrong and repeats no key.
async fn send(world: &World, http: &reqwest::Client, body: Vec<u8>) -> Result<(), Problem> {
    let url = format!("{}/internal/v1/certificates/apply", world.agent_url());
    let answer = http
        .post(url)
        .bearer_auth(TOKEN)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    if status.is_success() {
        return Ok(());
    }
    assert!(status.is_client_error(), "{status}: {text}");
    assert!(
        !text.contains("BEGIN") && !text.contains("MIGHAgEA"),
        "{text}"
    );
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!(problem.status, status.as_u16());
    assert!(
        problem.detail.len() > 10 && problem.detail.len() < 1000,
        "{problem:?}"
    );
    Err(problem)
}

async fn world_that_serves_something() -> (World, reqwest::Client) {
    let world = World::new().await;
    world
        .client()
        .apply(&world.authority.issue(HOST).request(1))
        .await
        .unwrap();
    (
        world,
        reqwest::Client::builder().no_proxy().build().unwrap(),
    )
}

#[tokio::test]
async fn every_hostile_request_is_refused_by_name_and_changes_nothing_at_the_edge() {
    let (world, http) = world_that_serves_something().await;
    for Specimen {
        name,
        body,
        verdict,
    } in specimens(&world.authority, 2)
    {
        let before = edge(&world).await;
        let outcome = send(&world, &http, body).await;
        match (verdict, outcome) {
            (Verdict::Refused(code, field), Err(problem)) => {
                assert_eq!(
                    (problem.code, problem.field.as_deref()),
                    (code, field),
                    "{name}: {problem:?}"
                );
                assert_eq!(edge(&world).await, before, "{name}");
            }
            (Verdict::Served(hostname), Ok(())) => {
                assert!(world.visit(&host(hostname)).await.is_some(), "{name}");
            }
            (verdict, outcome) => panic!("{name}: {outcome:?} instead of {verdict:?}"),
        }
    }
    world.assert_loadable();
}

#[tokio::test]
async fn requests_mutated_at_random_never_break_the_agent_or_change_what_they_must_not() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let seed = number("DPS_FUZZ_SEED")
        .unwrap_or_else(|| u64::from_str_radix(&randomness::hex(7), 16).unwrap());
    let rounds = number("DPS_FUZZ_ROUNDS").unwrap_or(ROUNDS);
    println!("DPS_FUZZ_SEED={seed} DPS_FUZZ_ROUNDS={rounds}");
    let (world, http) = world_that_serves_something().await;
    // Large specimens are large, and nothing else: mutating them costs time and finds nothing.
    let corpus: Vec<_> = specimens(&world.authority, 2)
        .into_iter()
        .filter(|one| one.body.len() < 20_000)
        .collect();
    let mut random = Random(seed);
    let mut before = edge(&world).await;
    let (mut served, mut refused) = (0, BTreeMap::new());
    for round in 0..rounds {
        let body = mutate(&corpus, &mut random);
        match send(&world, &http, body.clone()).await {
            Ok(()) => {
                served += 1;
                // A mutation can drop the intermediate and leave a valid leaf. The agent takes it,
                // a customer's client need not. So the leaf is compared, not the path.
                let accepted: ApplyRequest = serde_json::from_slice(&body).unwrap();
                let hostname = accepted.hostname.to_string();
                assert_eq!(
                    presented(&world, Some(&hostname)).await,
                    Some(accepted.fingerprint),
                    "round {round}: {hostname}"
                );
                before = edge(&world).await;
            }
            Err(problem) => {
                *refused.entry(problem.code.as_str()).or_insert(0_u64) += 1;
                assert_eq!(edge(&world).await, before, "round {round}: {problem:?}");
            }
        }
    }
    println!("{served} served, refused: {refused:?}");
    assert!(
        refused.len() > 3,
        "the mutations reach too little: {refused:?}"
    );
    assert!(presented(&world, Some(HOST)).await.is_some());
    assert_eq!(before.stores.transaction, None);
    world.assert_loadable();
}

/// `SplitMix64`: the same seed gives the same requests, apart from the keys in them.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound.max(1) as u64).unwrap()
    }
}

/// Texts with a meaning to HAProxy's command line, PEM, JSON or a file system.
const TOKENS: [&str; 16] = [
    "<<",
    "\\n\\n",
    "\\n",
    "\\r\\n",
    "\\u0000",
    ";",
    "*",
    "commit ssl cert ",
    "-----BEGIN CERTIFICATE-----",
    "-----END PRIVATE KEY-----",
    "../",
    "\\\"",
    "{",
    "=",
    "\u{fe}",
    "show ssl cert\\n",
];

fn mutate(corpus: &[Specimen], random: &mut Random) -> Vec<u8> {
    let mut body = corpus[random.below(corpus.len())].body.clone();
    for _ in 0..=random.below(3) {
        change(&mut body, corpus, random);
    }
    body
}

/// One change of the kinds that fuzzers make.
pub(crate) fn change(body: &mut Vec<u8>, corpus: &[Specimen], random: &mut Random) {
    let at = random.below(body.len() + 1);
    let end = (at + random.below(40)).min(body.len());
    match random.below(7) {
        0 if at < body.len() => body[at] ^= 1 << random.below(8),
        1 => body.truncate(at),
        2 => drop(body.drain(at..end)),
        3 => {
            let piece = body[at..end].to_vec();
            body.splice(at..at, piece);
        }
        4 if !corpus.is_empty() => {
            let other = &corpus[random.below(corpus.len())].body;
            let from = random.below(other.len());
            let to = (from + random.below(400)).min(other.len());
            body.splice(at..end, other[from..to].iter().copied());
        }
        5 => {
            let other = random.below(body.len() + 1);
            let (low, high) = (at.min(other), at.max(other));
            body[low..high].rotate_left(random.below(high - low));
        }
        _ => {
            let token = TOKENS[random.below(TOKENS.len())];
            body.splice(at..at, token.bytes());
        }
    }
}
