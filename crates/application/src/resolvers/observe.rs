//! The queries to the resolvers that work, and the trials of those that do not.

use dps_domain::Hostname;
use dps_domain::caa::CaaObservation;
use dps_domain::dns::{DnsAnswer, ResolverView};
use futures_util::future::{join, join_all};

use super::{Change, Member, Resolvers, is_failure, is_resolvers_own, problem};
use crate::outage::{Party, ended::ended};
use crate::service::Service;

impl Resolvers {
    /// Asks every resolver that works for `host` and, as a control, for our own `target`.
    pub(crate) async fn observe(
        &self,
        service: &Service,
        host: &Hostname,
        target: &Hostname,
    ) -> Vec<ResolverView> {
        let now = service.now();
        let (working, passed_over): (Vec<usize>, Vec<usize>) =
            (0..self.0.len()).partition(|index| self.0[*index].lock().out_of_order.is_none());
        let due: Vec<usize> = passed_over
            .into_iter()
            .filter(|index| self.0[*index].claim_trial(now))
            .collect();
        let chosen = if working.is_empty() {
            due
        } else {
            for index in due {
                try_apart(service, index, target);
            }
            working
        };
        if chosen.is_empty() {
            return self.0.iter().map(Member::unasked).collect();
        }
        let queries = chosen.iter().map(|index| async move {
            let resolver = &self.0[*index].resolver;
            let (name, control) = join(resolver.observe(host), resolver.observe(target)).await;
            ResolverView { name, control }
        });
        let views = join_all(queries).await;
        for (index, view) in chosen.into_iter().zip(&views) {
            if view.is_out_of_order() || is_resolvers_own(&view.control.answer) {
                self.note(service, index, Err(&view.control.answer));
            } else if !matches!(view.control.answer, DnsAnswer::ServFail | DnsAnswer::Bogus) {
                self.note(service, index, Ok(()));
            }
        }
        views
    }

    /// Queries the CAA records of `host`: at one resolver that works, and at all others unless
    /// `is_enough` accepts its answer.
    pub(crate) async fn observe_caa(
        &self,
        host: &Hostname,
        is_enough: impl Fn(&CaaObservation) -> bool,
    ) -> Vec<CaaObservation> {
        let works = |member: &&Member| member.lock().out_of_order.is_none();
        let mut working = self.0.iter().filter(works);
        let Some(first) = working.next() else {
            return vec![];
        };
        let mut observations = vec![first.resolver.observe_caa(host).await];
        if !is_enough(&observations[0]) {
            let others = working.map(|member| member.resolver.observe_caa(host));
            observations.extend(join_all(others).await);
        }
        observations
    }

    /// Notes whether a resolver resolved our own target.
    fn note(&self, service: &Service, index: usize, outcome: Result<(), &DnsAnswer>) {
        let (member, now) = (&self.0[index], service.now());
        let resolver = member.resolver.address();
        if outcome.is_err() {
            service.metrics.resolver_failed(resolver);
        }
        match member.lock().note(outcome, now) {
            Change::None => {}
            Change::LeftOrder => {
                let problem = outcome.err().map(problem);
                tracing::error!(dns.resolver = %resolver, problem, "resolver.out_of_order");
            }
            Change::Returned(since) => {
                let seconds = now.since(since).as_secs();
                tracing::info!(dns.resolver = %resolver, out_of_order_seconds = seconds, "resolver.recovered");
                ended(service, Party::Resolvers);
            }
        }
    }
}

/// Tries a resolver that is passed over, beside the checks.
fn try_apart(service: &Service, index: usize, target: &Hostname) {
    let (service, target) = (service.clone(), target.clone());
    tokio::spawn(async move {
        let resolvers = &service.resolvers;
        let seen = resolvers.0[index].resolver.observe(&target).await.answer;
        let outcome = if is_failure(&seen) {
            Err(&seen)
        } else {
            Ok(())
        };
        resolvers.note(&service, index, outcome);
    });
}
