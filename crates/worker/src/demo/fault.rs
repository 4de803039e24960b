//! A fault of somebody else, played while one watches the dashboard.

use std::time::Duration;

use clap::ValueEnum;
use dps_application::operator;
use dps_application::ports::WakeSignal;
use dps_domain::lane::Lane;
use dps_domain::{Hostname, Status};
use dps_lab::dns::Fault as DnsFault;
use dps_lab::wait;
use tokio::time::Instant;

use super::cast::{RENEWED, point_to_target};
use super::customer::Customer;
use super::show::Show;
use super::world::World;

/// How long a fault lasts while people watch.
pub(super) const WATCHED: Duration = Duration::from_secs(60);
/// How long it lasts if nobody does.
pub(super) const ALONE: Duration = Duration::from_secs(5);
/// How long the domains that waited for its end may take.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Domains that a customer adds meanwhile.
const NEWCOMERS: u32 = 3;
/// The customer who adds them.
const TENANT: &str = "newcomers";

/// A fault that the demo plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// The CA answers every request with 503
    #[value(name = "ca-503")]
    Ca503,
    /// HAProxy is gone
    EdgeAway,
    /// DNS servers answer SERVFAIL
    DnsServfail,
    /// DNS servers do not answer
    DnsTimeout,
}

impl Fault {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Ca503 => "the CA answers every request with 503",
            Self::EdgeAway => "HAProxy is gone",
            Self::DnsServfail => "DNS servers answer SERVFAIL",
            Self::DnsTimeout => "DNS servers do not answer",
        }
    }
}

/// Plays a fault: begins it, gives the service work that meets it, ends it, and waits until that
/// work is done.
pub(super) async fn play(
    world: &mut World,
    show: &mut Show,
    (fault, lasts): (Fault, Duration),
) -> anyhow::Result<()> {
    begin(world, fault)?;
    show.line(&format!(
        "\nFor {} s, {}. {NEWCOMERS} domains are added meanwhile, and {RENEWED} is renewed.",
        lasts.as_secs(),
        fault.in_words()
    ));
    let customer = Customer::new(world.standalone.cabinet, world.api_token.clone())?;
    let newcomers = give_work(world, &customer).await?;
    tokio::time::sleep(lasts).await;
    end(world, fault).await?;
    show.line("The fault is over. What waited goes on by itself.");
    let ended = Instant::now();
    for id in &newcomers {
        wait::until("a domain that was added meanwhile", TIMEOUT, || async {
            let seen = customer.read(id).await.ok()?;
            (seen.domain.status == Status::Active.as_str()).then_some(())
        })
        .await?;
    }
    show.line(&format!(
        "{} s later, all domains that were added meanwhile are served.",
        ended.elapsed().as_secs()
    ));
    Ok(())
}

fn begin(world: &mut World, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Ca503 => world.pebble.refuse(true),
        Fault::EdgeAway => world.haproxy.kill()?,
        Fault::DnsServfail => world.zone.set_fault_for_all(Some(DnsFault::ServFail)),
        Fault::DnsTimeout => world.zone.set_fault_for_all(Some(DnsFault::Unanswered)),
    }
    Ok(())
}

async fn end(world: &mut World, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Ca503 => world.pebble.refuse(false),
        Fault::EdgeAway => world.haproxy.restart().await?,
        Fault::DnsServfail | Fault::DnsTimeout => world.zone.set_fault_for_all(None),
    }
    Ok(())
}

/// Work that meets the fault. Returns the identifiers of the domains that were added.
async fn give_work(world: &World, customer: &Customer) -> anyhow::Result<Vec<String>> {
    let mut newcomers = Vec::new();
    for number in 1..=NEWCOMERS {
        let host = format!("www.newcomer-{number}.test");
        let added = customer.add(TENANT, &host).await?;
        point_to_target(&world.zone, &host, &added.domain.cname_target)?;
        newcomers.push(added.domain.id.to_string());
    }
    let service = &world.standalone.service;
    let (by, now) = (service.replica.as_ref(), service.clock.now());
    operator::renew(service.store.as_ref(), by, now, &Hostname::parse(RENEWED)?).await?;
    service.waker.notify(WakeSignal::Lane(Lane::Renewal));
    Ok(newcomers)
}
