//! The story: six customers, one mended mistake, one forced renewal.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dps_application::operator;
use dps_application::ports::WakeSignal;
use dps_cabinet_api::CustomerView;
use dps_domain::{FailureCode, Hostname, Status, Timestamp};
use dps_lab::tls::{HandshakeWatcher, served_leaf};
use serde::Serialize;

use super::bare;
use super::cast::{CAST, MENDED, RENEWED, Role, ascii, point_to_target};
use super::customer::Customer;
use super::show::Show;
use super::world::World;

/// How long anything may take before the demo says that it failed.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The pause between two reads of a domain.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The pause between two visits while a certificate is replaced.
const VISIT: Duration = Duration::from_millis(5);
/// Visits after the new certificate was seen, to see that nothing fails after it either.
const VISITS_AFTER: u64 = 50;

/// Where one domain stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Scene {
    pub(super) host: String,
    pub(super) status: String,
    pub(super) code: Option<String>,
    pub(super) seconds_to_active: Option<f64>,
    pub(super) fingerprint: Option<String>,
    #[serde(skip)]
    id: String,
    #[serde(skip)]
    target: String,
    #[serde(skip)]
    message: Option<String>,
}

/// The forced renewal.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Renewed {
    host: String,
    old_fingerprint: String,
    new_fingerprint: String,
    failed_handshakes: u64,
}

/// The result of the demo.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    domains: Vec<Scene>,
    renewal: Renewed,
}

/// Plays it all; an error when something does not come to what it must.
pub(super) async fn run(world: &World, show: &mut Show) -> anyhow::Result<Outcome> {
    let customer = Customer::new(world.standalone.cabinet, world.api_token.clone())?;
    let bare = bare::exchange(world)
        .await
        .context("the bare ACME exchange")?;
    show.line(&format!(
        "An ACME exchange alone with this Pebble takes {:.3} s.",
        bare.as_secs_f64()
    ));

    show.line("\nA first customer adds a domain:");
    let mut scenes = Vec::new();
    arrive(world, &customer, show, &mut scenes, &CAST[..1]).await?;
    let alone = scenes
        .iter()
        .find_map(|scene| scene.seconds_to_active)
        .context("the first domain has no time")?;
    show.line(&format!(
        "From creation to the proof on the edge: {alone:.3} s, {:.1} times the ACME exchange alone.",
        alone / bare.as_secs_f64()
    ));

    show.line("\nFive more customers add theirs at once:");
    arrive(world, &customer, show, &mut scenes, &CAST[1..]).await?;
    fill_fingerprints(world, &mut scenes).await?;
    show.table(&scenes);
    for scene in scenes.iter().filter(|scene| scene.message.is_some()) {
        show.line(&format!(
            "{}: {}",
            scene.host,
            scene.message.as_deref().unwrap_or_default()
        ));
    }

    show.line(&format!(
        "\nThe customer of {MENDED} corrects the record, and the service notices it:"
    ));
    for scene in scenes.iter().filter(|scene| scene.host == MENDED) {
        point_to_target(&world.zone, MENDED, &scene.target)?;
    }
    watch(
        world,
        &customer,
        show,
        &mut scenes,
        world.now(),
        |index, scene| CAST[index].hostname != MENDED || scene.is(Status::Active),
    )
    .await?;
    fill_fingerprints(world, &mut scenes).await?;
    show.table(&scenes);

    show.line(&format!(
        "\nA renewal of {RENEWED} is forced while a visitor keeps requesting pages:"
    ));
    let renewal = renew(world).await?;
    show.line(&format!(
        "{} was replaced by {}; {} handshakes failed.",
        short(&renewal.old_fingerprint),
        short(&renewal.new_fingerprint),
        renewal.failed_handshakes
    ));
    ensure!(
        renewal.failed_handshakes == 0,
        "visitors noticed the renewal"
    );
    if let Some(scene) = scenes.iter_mut().find(|scene| scene.host == RENEWED) {
        scene.fingerprint = Some(renewal.new_fingerprint.clone());
    }
    Ok(Outcome {
        domains: scenes,
        renewal,
    })
}

/// Customers add the hostnames of `roles`, which then come to what they must.
async fn arrive(
    world: &World,
    customer: &Customer,
    show: &mut Show,
    scenes: &mut Vec<Scene>,
    roles: &[Role],
) -> anyhow::Result<()> {
    let began = world.now();
    for role in roles {
        show.line(&format!("  {:<20} {}", role.hostname, role.about));
        let added = customer.add("demo", role.hostname).await?;
        let scene = Scene::new(role, &added);
        if role.follows {
            point_to_target(&world.zone, &scene.host, &scene.target)?;
            // The first check may have come before the record.
            customer.retry(&scene.id).await?;
        }
        scenes.push(scene);
    }
    watch(world, customer, show, scenes, began, |index, scene| {
        let (status, code) = CAST[index].comes_to;
        scene.is(status) && scene.code.as_deref() == code.map(FailureCode::as_str)
    })
    .await
}

impl Scene {
    fn new(role: &Role, added: &CustomerView) -> Self {
        let mut scene = Self {
            host: ascii(role.hostname),
            status: String::new(),
            code: None,
            seconds_to_active: None,
            fingerprint: None,
            id: added.domain.id.to_string(),
            target: added.domain.cname_target.clone(),
            message: None,
        };
        scene.update(added);
        scene
    }

    fn is(&self, status: Status) -> bool {
        self.status == status.as_str()
    }

    /// Takes over what the Cabinet shows; answers whether a person would see a difference.
    fn update(&mut self, seen: &CustomerView) -> bool {
        let domain = &seen.domain;
        let before = (self.status.clone(), self.code.clone());
        self.status.clone_from(&domain.status);
        self.code.clone_from(&domain.last_error_code);
        self.message.clone_from(&domain.last_error_message);
        if self.is(Status::Active) && self.seconds_to_active.is_none() {
            self.seconds_to_active = Some(domain.updated_at.since(domain.created_at).as_secs_f64());
        }
        before != (self.status.clone(), self.code.clone())
    }
}

/// Follows all domains until each satisfies `done`.
async fn watch(
    world: &World,
    customer: &Customer,
    show: &mut Show,
    scenes: &mut [Scene],
    began: Timestamp,
    done: impl Fn(usize, &Scene) -> bool,
) -> anyhow::Result<()> {
    for scene in scenes.to_vec().iter().filter(|scene| !done_before(scene)) {
        show.progress(scenes, scene, world.now().since(began));
    }
    loop {
        for index in 0..scenes.len() {
            let seen = customer.read(&scenes[index].id).await?;
            if scenes[index].update(&seen) {
                let changed = scenes[index].clone();
                show.progress(scenes, &changed, world.now().since(began));
            }
        }
        if scenes
            .iter()
            .enumerate()
            .all(|(index, scene)| done(index, scene))
        {
            return Ok(());
        }
        if world.now().since(began) > TIMEOUT {
            let stuck: Vec<String> = scenes
                .iter()
                .enumerate()
                .filter(|(index, scene)| !done(*index, scene))
                .map(|(_, scene)| {
                    format!(
                        "{} is {} ({})",
                        scene.host,
                        scene.status,
                        scene.code.as_deref().unwrap_or("no code")
                    )
                })
                .collect();
            bail!("after {} s: {}", TIMEOUT.as_secs(), stuck.join(", "));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A domain that is live already has nothing to show.
fn done_before(scene: &Scene) -> bool {
    scene.is(Status::Active)
}

/// The certificate that a visitor gets, verified against the CA's root.
async fn fill_fingerprints(world: &World, scenes: &mut [Scene]) -> anyhow::Result<()> {
    for scene in scenes.iter_mut().filter(|scene| scene.is(Status::Active)) {
        let leaf = served_leaf(world.https, &scene.host, &world.root_pem).await?;
        scene.fingerprint = Some(leaf.fingerprint);
    }
    Ok(())
}

async fn renew(world: &World) -> anyhow::Result<Renewed> {
    let old = served_leaf(world.https, RENEWED, &world.root_pem)
        .await?
        .fingerprint;
    let visitor = HandshakeWatcher::start(world.https, RENEWED, &world.root_pem, VISIT)?;
    visitor
        .wait_until("the visitor's first visits", TIMEOUT, |report| {
            report.successes >= VISITS_AFTER
        })
        .await?;
    let service = &world.standalone.service;
    let host = Hostname::parse(RENEWED)?;
    operator::renew(
        service.store.as_ref(),
        service.replica.as_ref(),
        service.clock.now(),
        &host,
    )
    .await?;
    service
        .waker
        .notify(WakeSignal::Lane(dps_domain::phase::Lane::Renewal));
    let seen = visitor
        .wait_until("the new certificate to be served", TIMEOUT, |report| {
            report.fingerprints.len() > 1
        })
        .await?;
    let enough = seen.successes + VISITS_AFTER;
    visitor
        .wait_until("more visits", TIMEOUT, |report| report.successes >= enough)
        .await?;
    let report = visitor.stop();
    let new = report.fingerprints.last().cloned().unwrap_or_default();
    Ok(Renewed {
        host: RENEWED.to_owned(),
        old_fingerprint: old,
        new_fingerprint: new,
        failed_handshakes: report.failures,
    })
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}
