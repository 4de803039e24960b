//! The story of the run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dps_agent_api::{ApplyRequest, InventoryDigest, MAX_BATCH_CERTIFICATES};
use dps_x509::CertificateChain;
use rustls::ClientConfig;
use tokio::sync::Mutex;

use crate::authority::Authority;
use crate::bare::{self, Commands};
use crate::edge::Edge;
use crate::figures::{Progress, memory, processor_time, rate};
use crate::probe::{Probe, Seen, connect};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) certificates: usize,
    pub(crate) replaced: usize,
    pub(crate) bare: usize,
    /// How long the client is watched before anything changes.
    quiet: Duration,
}

impl Size {
    pub(crate) const FULL: Self = Self {
        certificates: 50_000,
        replaced: 10_000,
        bare: 10_000,
        quiet: Duration::from_secs(10),
    };
    pub(crate) const SMALL: Self = Self {
        certificates: 300,
        replaced: 60,
        bare: 60,
        quiet: Duration::from_millis(200),
    };
}

/// The host that is there before the others come.
const EXISTING: &str = "existing.load.example";
/// Names that are asked in handshakes after each act.
const SAMPLE: usize = 200;

/// Plays it, prints the figures, and gives what was not as it must be. Speed is judged only if
/// asked for.
pub(crate) async fn run(size: Size, judges_speed: bool) -> Vec<String> {
    let mut faults = Vec::new();
    println!("edge load test: {size:?}");
    let authority = Authority::new();
    let begun = Instant::now();
    let requests = authority.issue_all(size.certificates, 1);
    let renewed = authority.issue_all(size.replaced, 2);
    println!("certificates made in {:.1?}", begun.elapsed());
    let tls = dps_lab::tls::client_config(authority.root_pem()).unwrap();

    let some = &requests[..size.bare.min(requests.len())];
    let adding = bare::add_all(some, Commands::AddingAlone).await;
    report_bare("adding commands alone", &adding);
    let bare = bare::add_all(some, Commands::AsTheAgent).await;
    report_bare("the agent's commands", &bare);

    let mut edge = Edge::start().await;
    edge.client()
        .apply(&authority.issue(EXISTING, 1))
        .await
        .unwrap();
    let mut digest = InventoryDigest::default();
    let existing = edge.client().inventory(None, 1).await.unwrap();
    digest.toggle(
        &existing.items[0].hostname,
        &existing.items[0].fingerprint,
        1,
    );
    let before = Probe::start(edge.https, EXISTING, Arc::clone(&tls));
    tokio::time::sleep(size.quiet).await;
    report_client("before", before.finish().await, &mut faults);

    let added = act("added", &mut edge, &tls, &requests, &mut faults).await;
    for request in &requests {
        digest.toggle(&request.hostname, &request.fingerprint, request.generation);
    }
    check_inventory(&edge, digest, &mut faults).await;
    check_sample(&edge, &tls, &requests, &mut faults).await;

    edge.haproxy.kill().unwrap();
    let killed = Instant::now();
    edge.haproxy.restart().unwrap();
    first_handshake(&edge, &tls).await;
    let serving = killed.elapsed();
    edge.wait_until_in_line().await;
    let in_line = killed.elapsed();
    check_inventory(&edge, digest, &mut faults).await;
    check_sample(&edge, &tls, &requests, &mut faults).await;
    println!(
        "HAProxy killed and started: first handshake after {serving:.1?}, all {} compared after {in_line:.1?}, {} repaired, {} restarts seen",
        size.certificates + 1,
        edge.metric("repaired_total").await,
        edge.metric("haproxy_restarts_total").await,
    );

    let renewed_existing = authority.issue(EXISTING, 2);
    first_apply(&edge, &renewed_existing).await;
    digest.toggle(
        &existing.items[0].hostname,
        &existing.items[0].fingerprint,
        1,
    );
    digest.toggle(&renewed_existing.hostname, &renewed_existing.fingerprint, 2);

    let replaced = act("replaced", &mut edge, &tls, &renewed, &mut faults).await;
    for (old, new) in requests.iter().zip(&renewed) {
        digest.toggle(&old.hostname, &old.fingerprint, old.generation);
        digest.toggle(&new.hostname, &new.fingerprint, new.generation);
    }
    check_inventory(&edge, digest, &mut faults).await;
    check_sample(&edge, &tls, &renewed, &mut faults).await;
    println!(
        "verify failures: {}",
        edge.metric("verify_failures_total").await
    );

    if judges_speed {
        judge("added", &added, &bare, &mut faults);
        println!(
            "added at {:.2} of the bare rate of the adding commands alone",
            added.rate() / adding.rate()
        );
        println!(
            "replaced at {:.2} of the bare rate of adding",
            replaced.rate() / bare.rate()
        );
    }
    faults
}

fn report_bare(what: &str, progress: &Progress) {
    let used = progress.processor().map_or_else(String::new, |each| {
        format!(" with {each:.2} ms of processor each")
    });
    println!(
        "bare socket, {what}: {:.0} certificates/s{used}",
        progress.rate()
    );
}

fn judge(what: &str, progress: &Progress, bare: &Progress, faults: &mut Vec<String>) {
    let share = progress.rate() / bare.rate();
    println!("{what} at {share:.2} of the bare rate");
    if share < 0.5 {
        faults.push(format!(
            "{what} at {share:.2} of the bare rate, not half of it"
        ));
    }
    if let Some(share) = progress.last_to_first().filter(|share| *share < 0.5) {
        faults.push(format!("the last thousand came at {share:.2} of the first"));
    }
}

/// Applies everything in batches while the client is at work.
async fn act(
    what: &str,
    edge: &mut Edge,
    tls: &Arc<ClientConfig>,
    requests: &[ApplyRequest],
    faults: &mut Vec<String>,
) -> Progress {
    let process = edge.runtime().process().await.unwrap();
    let pids = [edge.haproxy.pid(), edge.agent.pid()];
    let used = pids.map(processor_time);
    let probe = Probe::start(edge.https, EXISTING, Arc::clone(tls));
    let progress = Mutex::new(Progress::start());
    let batches = std::sync::Mutex::new(requests.chunks(MAX_BATCH_CERTIFICATES));
    let failures = Mutex::new(Vec::new());
    let call = async || {
        let client = edge.client();
        loop {
            let Some(batch) = batches.lock().unwrap().next() else {
                break;
            };
            let results = client.apply_batch(batch).await;
            let failed = results
                .iter()
                .filter_map(|result| result.as_ref().err().map(ToString::to_string));
            failures.lock().await.extend(failed);
            let mut progress = progress.lock().await;
            progress.add(batch.len());
            progress.used(pids.map(processor_time).iter().sum());
        }
    };
    // Two calls under way: one is read and checked while the other is worked.
    tokio::join!(call(), call());
    let progress = progress.into_inner();
    let failures = failures.into_inner();

    println!(
        "{what}: {} certificates at {:.0}/s; by the thousand {:.0?}",
        requests.len(),
        progress.rate(),
        progress.rates()
    );
    report_client(what, probe.finish().await, faults);
    let now = pids.map(processor_time);
    let each = |index: usize| {
        let took = now[index].saturating_sub(used[index]);
        1000.0 / rate(requests.len(), took)
    };
    println!(
        "  HAProxy {} and {:.2} ms of processor each; agent {} and {:.2} ms",
        memory(edge.haproxy.pid()),
        each(0),
        memory(edge.agent.pid()),
        each(1)
    );
    if let Some((first, last)) = progress.processor_first_and_last() {
        println!(
            "  processor of both, each: {first:.2} ms in the first fifth, {last:.2} ms in the last"
        );
    }
    if let Some(first) = failures.first() {
        faults.push(format!(
            "{} applies failed when {what}: {first}",
            failures.len()
        ));
    }
    let is_same = edge
        .runtime()
        .process()
        .await
        .is_ok_and(|now| now.is_same(&process));
    println!("  reloads: {}", u8::from(!is_same));
    if !is_same {
        faults.push(format!(
            "HAProxy was another process after certificates were {what}"
        ));
    }
    progress
}

fn report_client(when: &str, seen: Seen, faults: &mut Vec<String>) {
    let failed = seen.failed.len();
    println!("  client {when}: requests {}", seen.requests.summary());
    println!("  client {when}: handshakes {}", seen.handshakes.summary());
    println!("  client {when}: failed {failed}");
    if let Some(first) = seen.failed.first() {
        faults.push(format!(
            "{failed} of the client's requests failed {when}: {first}"
        ));
    }
}

async fn check_inventory(edge: &Edge, digest: InventoryDigest, faults: &mut Vec<String>) {
    let begun = Instant::now();
    let page = edge.client().inventory(None, 1).await.unwrap();
    println!("  inventory digest in {:.2?}", begun.elapsed());
    if page.digest != digest.to_hex() {
        faults.push("the inventory's digest is another than that of what was applied".to_owned());
    }
}

/// Asks a sample spread over all hostnames, as a customer's client, and compares the leaf.
async fn check_sample(
    edge: &Edge,
    tls: &Arc<ClientConfig>,
    requests: &[ApplyRequest],
    faults: &mut Vec<String>,
) {
    let step = (requests.len() / SAMPLE).max(1);
    let mut wrong = Vec::new();
    for request in requests.iter().step_by(step) {
        let presented = connect(edge.https, request.hostname.as_str(), tls).await;
        let presented = presented.map(|stream| {
            let leaf = stream.get_ref().1.peer_certificates()?.first()?.clone();
            Some(CertificateChain::fingerprint_of(&leaf))
        });
        match presented {
            Ok(Some(fingerprint)) if fingerprint == request.fingerprint => {}
            Ok(_) => wrong.push(format!("{}: another certificate", request.hostname)),
            Err(error) => wrong.push(format!("{}: {error}", request.hostname)),
        }
    }
    let asked = requests.len().div_ceil(step);
    println!("  sampled handshakes: {asked}, wrong {}", wrong.len());
    if let Some(first) = wrong.first() {
        let count = wrong.len();
        faults.push(format!(
            "{count} of {asked} handshakes did not show what was applied: {first}"
        ));
    }
}

/// Applies one certificate and returns how long that took. The first apply after a start of HAProxy
/// waits until no other process can take over (ADR 24); those after it do not.
async fn first_apply(edge: &Edge, request: &ApplyRequest) {
    let begun = Instant::now();
    edge.client().apply(request).await.unwrap();
    println!(
        "first apply after the start, with its wait for the end of the load: {:.1?}",
        begun.elapsed()
    );
}

async fn first_handshake(edge: &Edge, tls: &Arc<ClientConfig>) {
    let begun = Instant::now();
    while connect(edge.https, EXISTING, tls).await.is_err() {
        assert!(
            begun.elapsed() < crate::edge::TIMEOUT,
            "HAProxy does not come back"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
