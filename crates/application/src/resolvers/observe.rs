//! The queries to the resolvers that work, and the trials of those that do not.

use std::sync::Arc;

use dps_domain::Hostname;
use dps_domain::caa::CaaObservation;
use dps_domain::dns::{AuthoritativeView, DnsAnswer, ResolverView};
use dps_domain::ownership::{TxtAnswer, TxtObservation};
use futures_util::future::{join, join_all};
use tokio::time::timeout_at;

use super::{Change, DnsBudget, Member, Resolvers, is_failure, is_resolvers_own, problem};
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
        let (working, passed_over): (Vec<usize>, Vec<usize>) = (0..self.members.len())
            .partition(|index| self.members[*index].lock().out_of_order.is_none());
        let due: Vec<usize> = passed_over
            .into_iter()
            .filter(|index| self.members[*index].claim_trial(now))
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
            return self.members.iter().map(Member::unasked).collect();
        }
        let queries = chosen.iter().map(|index| async move {
            let resolver = &self.members[*index].resolver;
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

    /// Asks the authoritative servers of the zone of `host`; `None` if they are not to be asked. A
    /// resolver that works by `views` finds them.
    pub(crate) async fn observe_authoritative(
        &self,
        host: &Hostname,
        views: &[ResolverView],
        budget: DnsBudget,
    ) -> Option<AuthoritativeView> {
        let authoritative = self.authoritative.as_ref()?;
        let working = views.iter().find(|view| !view.is_out_of_order())?;
        let resolver = working.name.resolver;
        let seen = authoritative.observe(host, resolver, budget.deadline());
        Some(seen.await)
    }

    /// Queries the CAA records of `host`: at one resolver that works, and at all others unless
    /// `is_enough` accepts its answer. A resolver that does not answer within the budget is left
    /// out.
    pub(crate) async fn observe_caa(
        &self,
        host: &Hostname,
        budget: DnsBudget,
        is_enough: impl Fn(&CaaObservation) -> bool,
    ) -> Vec<CaaObservation> {
        let works = |member: &&Member| member.lock().out_of_order.is_none();
        let observe = |member: &Member| {
            let resolver = Arc::clone(&member.resolver);
            async move {
                timeout_at(budget.deadline(), resolver.observe_caa(host))
                    .await
                    .ok()
            }
        };
        let mut working = self.members.iter().filter(works);
        let Some(first) = working.next() else {
            return vec![];
        };
        let mut observations = Vec::from_iter(observe(first).await);
        if !observations.first().is_some_and(is_enough) {
            let others = join_all(working.map(observe)).await;
            observations.extend(others.into_iter().flatten());
        }
        observations
    }

    /// Queries the CAA records of `host` at the authoritative servers; none if they are not to be
    /// asked. A resolver that looks up CAA records by `observations` finds them.
    pub(crate) async fn observe_authoritative_caa(
        &self,
        host: &Hostname,
        observations: &[CaaObservation],
        budget: DnsBudget,
    ) -> Vec<CaaObservation> {
        let working = observations.iter().find(|seen| !seen.is_out_of_order());
        match (&self.authoritative, working) {
            (Some(authoritative), Some(seen)) => {
                let seen = authoritative.observe_caa(host, seen.resolver, budget.deadline());
                seen.await
            }
            _ => vec![],
        }
    }

    /// Queries the TXT records that prove a claim of `host` at every resolver that works. Queries
    /// the zone's authoritative servers too, unless `is_enough` accepts those answers. A resolver
    /// that does not answer within the budget is left out.
    pub(crate) async fn observe_proof(
        &self,
        host: &Hostname,
        budget: DnsBudget,
        is_enough: impl Fn(&[TxtObservation]) -> bool,
    ) -> Vec<TxtObservation> {
        let works = |member: &&Member| member.lock().out_of_order.is_none();
        let working: Vec<&Member> = self.members.iter().filter(works).collect();
        if working.is_empty() {
            // A fault of our own machine is no outage of the resolvers.
            let unasked = self.members.iter().map(Member::unasked);
            let local = unasked.filter(|view| matches!(view.name.answer, DnsAnswer::Local { .. }));
            return local
                .map(|view| TxtObservation {
                    resolver: view.name.resolver,
                    answer: TxtAnswer::Failed(view.name.answer),
                    ttl: None,
                })
                .collect();
        }
        let observe = |member: &&Member| {
            let resolver = Arc::clone(&member.resolver);
            async move {
                let observation = resolver.observe_proof(host);
                timeout_at(budget.deadline(), observation).await.ok()
            }
        };
        let observations = join_all(working.iter().map(observe)).await;
        let mut observations: Vec<TxtObservation> = observations.into_iter().flatten().collect();
        if let (Some(authoritative), Some(member)) = (&self.authoritative, working.first())
            && !is_enough(&observations)
        {
            let resolver = member.resolver.address();
            let seen = authoritative.observe_proof(host, resolver, budget.deadline());
            observations.extend(seen.await);
        }
        observations
    }

    /// Notes whether a resolver resolved our own target.
    fn note(&self, service: &Service, index: usize, outcome: Result<(), &DnsAnswer>) {
        let (member, now) = (&self.members[index], service.now());
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
        let seen = resolvers.members[index]
            .resolver
            .observe(&target)
            .await
            .answer;
        let outcome = if is_failure(&seen) {
            Err(&seen)
        } else {
            Ok(())
        };
        resolvers.note(&service, index, outcome);
    });
}
