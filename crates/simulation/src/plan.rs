//! The scenario as a list of events with their times.

use std::time::Duration;

use crate::models::claims::Contest;
use crate::scenario::{Outages, Scenario};
use crate::time::Seeded;

const MINUTE: Duration = Duration::from_secs(60);
/// Time after the second claim at which the tenant that is not the owner requests a retry. The
/// service has given up a claim without a proof by then.
const RETRIES_AFTER: Duration = Duration::from_secs(10 * 24 * 3600);

/// Something that happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Happening {
    /// Customers have created so many domains by now.
    Domains(u32),
    /// A name begins to point at us.
    Points(u32),
    /// A name ceases to point at us.
    Leaves(u32),
    /// A customer removes a domain.
    Removes(u32),
    /// A second tenant claims a name, by the domain with this number.
    Claims(u32),
    /// A customer requests a retry.
    Retries(u32),
    /// The CA stops or starts to answer.
    Ca(bool),
    /// The CA stops or starts to answer polls about renewals.
    RenewalInfo(bool),
    /// The CA revokes a share of its certificates.
    Revocation(f64),
    /// The revoked certificates are void now.
    Void,
    /// An edge goes down for a restart.
    EdgeRestarts(u32),
    /// An edge goes away or comes back.
    Edge(u32, bool),
    /// All edges are up or away.
    Fleet(bool),
    /// The Cabinet stops or starts to answer.
    Cabinet(bool),
    /// The resolvers stop or start to answer.
    Resolvers(bool),
    /// A replica dies.
    Crash(u32),
    /// A replica is started.
    Start(u32),
}

/// A stretch of the run that drawings show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its label.
    pub label: String,
    /// Its beginning.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// The whole run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In order.
    pub happenings: Vec<(Duration, Happening)>,
    /// The marks of drawings, in order.
    pub marks: Vec<Mark>,
}

impl Plan {
    /// Returns the plan of a scenario, with the customers' actions drawn from `draws`. `contests`
    /// are in the order of their names.
    pub fn of(scenario: &Scenario, contests: &[Contest], draws: &Seeded) -> Self {
        let mut plan = Self {
            happenings: vec![],
            marks: vec![],
        };
        plan.arrivals(scenario, contests, draws);
        plan.faults(scenario);
        plan.happenings.sort_by_key(|(at, _)| *at);
        // Events after the end are left out.
        plan.marks.retain(|mark| mark.from < scenario.length());
        plan.marks.sort_by_key(|mark| mark.from);
        plan
    }

    fn at(&mut self, at: Duration, happening: Happening) {
        self.happenings.push((at, happening));
    }

    fn mark(&mut self, label: &str, from: Duration, to: Duration) {
        let label = label.to_owned();
        self.marks.push(Mark { label, from, to });
    }

    fn arrivals(&mut self, scenario: &Scenario, contests: &[Contest], draws: &Seeded) {
        let arrivals = &scenario.arrivals;
        let mut contests = contests.iter().peekable();
        let mut created = 0;
        for wave in 0..arrivals.waves {
            let begins = arrivals.first_at.get() + arrivals.every.get() * wave;
            let lasts = arrivals.each_lasts.get();
            let size = share(scenario.domains, wave + 1, arrivals.waves) - created;
            let minutes = u32::try_from(lasts.as_secs() / 60)
                .unwrap_or(u32::MAX)
                .max(1);
            for minute in 1..=minutes {
                let to = created + share(size, minute, minutes);
                let from = created + share(size, minute - 1, minutes);
                if to > from {
                    let at = begins + MINUTE * (minute - 1);
                    self.at(at, Happening::Domains(to));
                    for number in from..to {
                        match contests.next_if(|contest| contest.name == number) {
                            Some(contest) => self.contest(scenario, draws, contest, at),
                            None => self.customer(scenario, draws, number, at),
                        }
                    }
                }
            }
            if size > 0 {
                self.mark(&format!("{size} new domains"), begins, begins + lasts);
            }
            created += size;
        }
    }

    fn customer(&mut self, scenario: &Scenario, draws: &Seeded, number: u32, created: Duration) {
        let customers = &scenario.customers;
        if customers.never_ready > 0.0 && draws.chance(customers.never_ready) {
            return;
        }
        let here_from = created + until_ready(scenario, draws);
        self.at(here_from, Happening::Points(number));
        if customers.leave > 0.0 && draws.chance(customers.leave) {
            let leaves = customers.leave_from.get() + draws.within(customers.leave_over.get());
            self.at(leaves.max(here_from), Happening::Leaves(number));
            if customers.return_share > 0.0 && draws.chance(customers.return_share) {
                let returns = leaves.max(here_from) + customers.return_after.get();
                self.at(returns, Happening::Points(number));
            }
        }
    }

    /// The customers of a contested name, whose first claim is created at this time.
    fn contest(
        &mut self,
        scenario: &Scenario,
        draws: &Seeded,
        contest: &Contest,
        created: Duration,
    ) {
        let here_from = created + until_ready(scenario, draws);
        self.at(here_from, Happening::Points(contest.name));
        if let Some(removed_at) = contest.removed_at {
            self.at(removed_at, Happening::Removes(contest.name));
        }
        self.at(contest.claimed_at, Happening::Claims(contest.second));
        let retries = contest.claimed_at + RETRIES_AFTER;
        self.at(retries, Happening::Retries(contest.strangers()));
    }

    fn faults(&mut self, scenario: &Scenario) {
        self.outages(&scenario.ca.outages, "CA away", Happening::Ca);
        self.outages(
            &scenario.renewal_info.throttled,
            "ARI throttled",
            Happening::RenewalInfo,
        );
        self.outages(
            &scenario.cabinet.outages,
            "Cabinet away",
            Happening::Cabinet,
        );
        self.outages(
            &scenario.resolvers.outages,
            "resolvers away",
            Happening::Resolvers,
        );
        self.outages(&scenario.edges.outages, "edge 1 away", |up| {
            Happening::Edge(0, up)
        });
        self.outages(
            &scenario.edges.fleet_outages,
            "all edges away",
            Happening::Fleet,
        );
        let freeze = &scenario.workers.renewal_freeze;
        self.marks.extend(freeze.at.iter().map(|at| Mark {
            label: "renewals frozen".to_owned(),
            from: at.get(),
            to: at.get() + freeze.each_lasts.get(),
        }));
        let restarts = &scenario.edges.restarts;
        for at in &restarts.at {
            let (begin, each) = (at.get(), restarts.each_lasts.get());
            for edge in 0..scenario.edges.count {
                self.at(begin + each * edge, Happening::EdgeRestarts(edge));
                self.at(begin + each * (edge + 1), Happening::Edge(edge, true));
            }
            self.mark("edges restart", begin, begin + each * scenario.edges.count);
        }
        if let Some(at) = scenario.revocation.at {
            let (at, void_after) = (at.get(), scenario.revocation.void_after.get());
            self.at(at, Happening::Revocation(scenario.revocation.share));
            self.at(at + void_after, Happening::Void);
            let percent = scenario.revocation.share * 100.0;
            self.mark(&format!("{percent:.0} % revoked"), at, at + void_after);
        }
        for (index, at) in (0..).zip(&scenario.replicas.crashes_at) {
            let replica = index % scenario.replicas.count;
            self.at(at.get(), Happening::Crash(replica));
            self.at(at.get() + MINUTE, Happening::Start(replica));
        }
        if !scenario.replicas.crashes_at.is_empty() {
            for at in &scenario.replicas.crashes_at {
                self.mark("replica dies", at.get(), at.get() + MINUTE);
            }
        }
    }

    fn outages(&mut self, outages: &Outages, label: &str, switch: impl Fn(bool) -> Happening) {
        for at in &outages.at {
            let (from, to) = (at.get(), at.get() + outages.each_lasts.get());
            self.at(from, switch(false));
            self.at(to, switch(true));
            self.mark(label, from, to);
        }
    }
}

/// Time from the creation of a domain until its name points at us.
fn until_ready(scenario: &Scenario, draws: &Seeded) -> Duration {
    let customers = &scenario.customers;
    if customers.ready < 1.0 && !draws.chance(customers.ready) {
        draws.within(customers.dns_within.get())
    } else {
        Duration::ZERO
    }
}

/// The first `part` of `parts` equal parts of `whole`.
fn share(whole: u32, part: u32, parts: u32) -> u32 {
    let share = u64::from(whole) * u64::from(part) / u64::from(parts.max(1));
    u32::try_from(share).unwrap_or(u32::MAX)
}
