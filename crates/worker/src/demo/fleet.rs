//! A fleet of domains in every state, for those who look at the dashboard.

use std::time::Duration;

use anyhow::{Context as _, bail};
use dps_application::operator::{self, pauses};
use dps_application::ports::WakeSignal;
use dps_cabinet_api::CustomerView;
use dps_domain::lane::Lane;
use dps_domain::pause::PauseScope;
use dps_domain::record::operator::Requester;
use dps_domain::{FailureCode, Hostname, Status};
use dps_lab::dns::Fault;

use super::cast::{EDGE, ELSEWHERE, ELSEWHERE_ADDRESS, STRANGER, point_to_target};
use super::customer::Customer;
use super::show::Show;
use super::world::World;

/// Domains of the fleet, unless another number is asked for.
pub(super) const DOMAINS: u32 = 200;
/// How long the fleet may take before the demo says that it failed.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The pause between two reads of the domains that are not where they belong.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The pause between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// Customers of the platform.
const TENANTS: [&str; 8] = [
    "bakery", "florist", "winery", "bookshop", "theatre", "studio", "clinic", "garage",
];
/// The customer whose issuance an operator paused.
const PAUSED: &str = "construction";
/// A customer who claims names of others.
const RIVAL: &str = "rival";

/// The fate of a domain, by the acts of its customer and of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its CNAME record is right.
    Served,
    /// Its address records are right.
    ServedByAddress,
    /// It is served, and an operator renews it.
    Renewed,
    /// It is served, and its customer moves it away.
    Moved,
    /// It is served, and its customer removes it.
    Removed,
    /// It is served by address, and another customer claims it.
    Claimed,
    /// It has no DNS records.
    Missing,
    /// Its CNAME record leads elsewhere.
    Elsewhere,
    /// One of its addresses is not ours.
    Stray,
    /// Its DNS servers fail.
    Broken,
    /// Its CAA records forbid the CA to issue.
    Forbidden,
    /// Another server answers HTTP.
    Stranger,
    /// Its customer's issuance is paused when its DNS records are set.
    Paused,
}

/// Domains of each fate, of 200.
const SHARES: [(Fate, u32); 13] = [
    (Fate::Served, 132),
    (Fate::ServedByAddress, 10),
    (Fate::Renewed, 6),
    (Fate::Moved, 5),
    (Fate::Removed, 5),
    (Fate::Claimed, 4),
    (Fate::Missing, 10),
    (Fate::Elsewhere, 8),
    (Fate::Stray, 4),
    (Fate::Broken, 4),
    (Fate::Forbidden, 4),
    (Fate::Stranger, 5),
    (Fate::Paused, 3),
];

/// The fate of each of so many domains: at least one of each, if there are as many.
fn fates(domains: u32) -> Vec<Fate> {
    let mut fates: Vec<Fate> = SHARES
        .iter()
        .skip(1)
        .flat_map(|(fate, share)| {
            let number = (share * domains).div_ceil(DOMAINS);
            std::iter::repeat_n(*fate, number as usize)
        })
        .collect();
    fates.resize(domains as usize, Fate::Served);
    fates
}

impl Fate {
    /// Whether its customer creates the CNAME record that the Cabinet names at once.
    const fn follows(self) -> bool {
        matches!(
            self,
            Self::Served | Self::Renewed | Self::Moved | Self::Removed | Self::Forbidden
        )
    }

    /// The status and code of the domain once its customer has set its DNS records.
    const fn first(self) -> (Status, Option<FailureCode>) {
        let dns = Status::PendingDns;
        match self {
            Self::Served
            | Self::ServedByAddress
            | Self::Renewed
            | Self::Moved
            | Self::Removed
            | Self::Claimed => (Status::Active, None),
            Self::Missing | Self::Paused => (dns, Some(FailureCode::DnsNxdomain)),
            Self::Elsewhere => (dns, Some(FailureCode::DnsWrongTarget)),
            Self::Stray => (dns, Some(FailureCode::DnsStrayAddress)),
            Self::Broken => (dns, Some(FailureCode::DnsServfail)),
            Self::Forbidden => (Status::Issuing, Some(FailureCode::CaaForbids)),
            Self::Stranger => (
                Status::PendingHttpProbe,
                Some(FailureCode::HttpWrongResponder),
            ),
        }
    }
}

/// A domain, and where it belongs.
struct Member {
    id: String,
    host: Hostname,
    target: String,
    fate: Fate,
    comes_to: (Status, Option<FailureCode>),
}

impl Member {
    fn has_come(&self, seen: &CustomerView) -> bool {
        let (status, code) = self.comes_to;
        seen.domain.status == status.as_str()
            && seen.domain.last_error_code.as_deref() == code.map(FailureCode::as_str)
    }
}

/// Adds `domains` domains and waits until each is where it belongs.
pub(super) async fn fill(world: &World, show: &mut Show, domains: u32) -> anyhow::Result<()> {
    if domains == 0 {
        return Ok(());
    }
    show.line(&format!(
        "\nFor the dashboard, {} customers add {domains} domains of every kind:",
        TENANTS.len()
    ));
    let customer = Customer::new(world.standalone.cabinet, world.api_token.clone())?;
    let mut members = Vec::new();
    for (number, fate) in fates(domains).into_iter().enumerate() {
        members.push(add(world, &customer, number, fate).await?);
    }
    settle(&customer, show, &members).await?;
    let changed = act(world, &customer, members).await?;
    settle(&customer, show, &changed).await
}

/// The operator's pause of one customer.
async fn pause(world: &World) -> anyhow::Result<()> {
    let service = &world.standalone.service;
    let scope = PauseScope::Tenant(PAUSED.to_owned());
    let by = Requester {
        reason: Some("the contract ended"),
        ..Requester::from(service.replica.as_ref())
    };
    pauses::pause(service.store.as_ref(), by, service.clock.now(), &scope)
        .await
        .context("the pause of a customer")
}

/// Adds a domain, and sets the DNS records that its customer has.
async fn add(
    world: &World,
    customer: &Customer,
    number: usize,
    fate: Fate,
) -> anyhow::Result<Member> {
    let trade = TENANTS[number % TENANTS.len()];
    let zone_name = format!("{trade}-{}.test", number + 1);
    let host = match fate {
        Fate::ServedByAddress | Fate::Claimed => zone_name.clone(),
        _ => format!("www.{zone_name}"),
    };
    let zone = &world.zone;
    match fate {
        Fate::ServedByAddress | Fate::Claimed => zone.set_a(&host, &[EDGE]),
        Fate::Elsewhere => zone.set_cname(&host, ELSEWHERE)?,
        Fate::Stray => zone.set_a(&host, &[EDGE, ELSEWHERE_ADDRESS]),
        Fate::Broken => zone.set_fault(&host, Fault::ServFail),
        Fate::Forbidden => zone.set_caa(&zone_name, &[(0, "issue", "another-ca.test")]),
        Fate::Stranger => zone.set_a(&host, &[STRANGER]),
        _ => {}
    }
    let tenant = if fate == Fate::Paused { PAUSED } else { trade };
    let added = customer.add(tenant, &host).await?;
    if fate.follows() {
        point_to_target(zone, &host, &added.domain.cname_target)?;
    }
    Ok(Member {
        id: added.domain.id.to_string(),
        host: Hostname::parse(&host)?,
        target: added.domain.cname_target,
        fate,
        comes_to: fate.first(),
    })
}

/// Customers and operators act on domains that are served. Returns those that change by it.
async fn act(
    world: &World,
    customer: &Customer,
    members: Vec<Member>,
) -> anyhow::Result<Vec<Member>> {
    let service = &world.standalone.service;
    let (store, now) = (service.store.as_ref(), service.clock.now());
    let by = service.replica.as_ref();
    let mut changed = Vec::new();
    if members.iter().any(|member| member.fate == Fate::Paused) {
        pause(world).await?;
    }
    for mut member in members {
        let host = member.host.as_str();
        match member.fate {
            Fate::Renewed => {
                operator::renew(store, by, now, &member.host).await?;
            }
            Fate::Moved => {
                world.zone.clear(host);
                world.zone.set_a(host, &[ELSEWHERE_ADDRESS]);
                operator::recheck(store, by, now, &member.host).await?;
                member.comes_to = (Status::Active, Some(FailureCode::DnsMoved));
            }
            Fate::Removed => {
                customer.remove(&member.id).await?;
                member.comes_to = (Status::Removed, None);
            }
            Fate::Claimed => {
                let claim = customer.add(RIVAL, host).await?;
                member.id = claim.domain.id.to_string();
                let code = FailureCode::DnsOwnershipRequired;
                member.comes_to = (Status::PendingDns, Some(code));
            }
            Fate::Paused => {
                point_to_target(&world.zone, host, &member.target)?;
                member.comes_to = (Status::Issuing, Some(FailureCode::IssuancePaused));
            }
            _ => continue,
        }
        changed.push(member);
    }
    for lane in [Lane::Renewal, Lane::Recheck] {
        service.waker.notify(WakeSignal::Lane(lane));
    }
    Ok(changed)
}

/// Waits until each domain is where it belongs.
async fn settle(customer: &Customer, show: &mut Show, members: &[Member]) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    let mut reported = began;
    let mut left: Vec<&Member> = members.iter().collect();
    loop {
        let mut away = Vec::new();
        let mut example = None;
        for member in left {
            let seen = customer.read(&member.id).await?;
            if !member.has_come(&seen) {
                let code = seen.domain.last_error_code.unwrap_or_default();
                example = Some(format!("{} {} {code}", member.host, seen.domain.status));
                away.push(member);
            }
        }
        left = away;
        if left.is_empty() || reported.elapsed() >= PROGRESS_INTERVAL {
            let settled = members.len() - left.len();
            let seconds = began.elapsed().as_secs();
            show.line(&format!("  {seconds:>3} s  {settled} of {}", members.len()));
            reported = tokio::time::Instant::now();
        }
        let Some(example) = example else {
            return Ok(());
        };
        if began.elapsed() > TIMEOUT {
            bail!(
                "after {} s, {} domains are not where they belong, as {example}",
                TIMEOUT.as_secs(),
                left.len()
            );
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_has_every_fate_in_its_share() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u32>(), DOMAINS);
        for domains in [13, 30, DOMAINS, 1_000] {
            let fates = fates(domains);
            assert_eq!(fates.len(), domains as usize);
            for (fate, share) in SHARES {
                let number = fates.iter().filter(|seen| **seen == fate).count();
                assert!(number >= 1, "{fate:?} of {domains}");
                if domains == DOMAINS {
                    assert_eq!(number, share as usize, "{fate:?}");
                }
            }
        }
    }
}
