//! The next action for a record: a pure function of its state and the time.

use crate::phase::{Issuance, Next, Phase};
use crate::record::Revocation;
use crate::{CertificateId, OrderId, Timestamp};

/// One step of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask every resolver for the name.
    CheckDns,
    /// Fetch our token from every published address.
    ProbeHttp,
    /// Create an order at the CA and store its URL.
    PlaceOrder,
    /// Publish the challenge, acknowledge it, and wait until the order is ready.
    Validate(OrderId),
    /// Store a key, finalize the order, store the certificate.
    Finalize(OrderId),
    /// Deploy the certificate to every edge and prove it.
    Deploy(CertificateId),
    /// Begin the renewal of a live domain.
    BeginRenewal,
    /// Check that a live domain still points at us; its renewal begins at the given moment.
    Recheck {
        /// The stored renewal moment.
        renew_at: Timestamp,
    },
    /// Undeploy the expired certificate from every edge.
    Expire(CertificateId),
    /// Remove the domain from every edge.
    Undeploy,
    /// Revoke the certificates of a domain that ended.
    Revoke,
    /// Forget the record after its quarantine.
    Forget,
    /// Nothing until a retry is requested.
    Idle,
}

impl Action {
    /// The names of all actions, in the order of [`Self::index`].
    pub const NAMES: [&'static str; 13] = [
        "check_dns",
        "probe_http",
        "place_order",
        "validate",
        "finalize",
        "deploy",
        "begin_renewal",
        "recheck",
        "expire",
        "undeploy",
        "revoke",
        "forget",
        "idle",
    ];

    /// The place among [`Self::NAMES`].
    pub const fn index(&self) -> usize {
        match self {
            Self::CheckDns => 0,
            Self::ProbeHttp => 1,
            Self::PlaceOrder => 2,
            Self::Validate(_) => 3,
            Self::Finalize(_) => 4,
            Self::Deploy(_) => 5,
            Self::BeginRenewal => 6,
            Self::Recheck { .. } => 7,
            Self::Expire(_) => 8,
            Self::Undeploy => 9,
            Self::Revoke => 10,
            Self::Forget => 11,
            Self::Idle => 12,
        }
    }

    /// The name in metrics.
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

/// Returns the next action from the stored phase, revocation and time, without I/O, clock or
/// randomness.
pub fn next_action(phase: &Phase, revocation: Option<&Revocation>, now: Timestamp) -> Action {
    if revocation.is_some_and(|revocation| !revocation.is_over(now)) {
        return Action::Revoke;
    }
    match phase {
        Phase::Live {
            serving, not_after, ..
        } if *not_after <= now => Action::Expire(*serving),
        Phase::Onboarding(issuance)
        | Phase::Live {
            next: Next::Now(issuance),
            ..
        }
        | Phase::Expired { issuance, .. } => issuance_action(issuance),
        Phase::Live {
            next: Next::At(at), ..
        } if *at <= now => Action::BeginRenewal,
        Phase::Live {
            next: Next::At(at), ..
        } => Action::Recheck { renew_at: *at },
        Phase::Leaving => Action::Undeploy,
        Phase::Gone => Action::Forget,
        Phase::Failed => Action::Idle,
    }
}

fn issuance_action(issuance: &Issuance) -> Action {
    match issuance {
        Issuance::AwaitingDns => Action::CheckDns,
        Issuance::AwaitingHttpProbe => Action::ProbeHttp,
        Issuance::Ordering | Issuance::Queued => Action::PlaceOrder,
        Issuance::Validating { order } => Action::Validate(*order),
        Issuance::Finalizing { order } => Action::Finalize(*order),
        Issuance::Deploying { certificate } => Action::Deploy(*certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DnsState;
    use uuid::Uuid;

    #[test]
    fn a_live_domain_is_checked_until_its_stored_renewal_moment() {
        let serving = CertificateId::from_uuid(Uuid::nil());
        let at = Timestamp::from_unix_seconds(100);
        let live = Phase::Live {
            serving,
            not_after: Timestamp::from_unix_seconds(200),
            dns: DnsState::Here,
            next: Next::At(at),
        };
        assert_eq!(
            next_action(&live, None, Timestamp::from_unix_seconds(99)),
            Action::Recheck { renew_at: at }
        );
        assert_eq!(next_action(&live, None, at), Action::BeginRenewal);
    }

    #[test]
    fn a_certificate_that_has_ended_leaves_the_edges_before_anything_else_is_done() {
        let (serving, end) = (
            CertificateId::from_uuid(Uuid::nil()),
            Timestamp::from_unix_seconds(100),
        );
        for next in [
            Next::At(end),
            Next::Now(Issuance::AwaitingDns),
            Next::Now(Issuance::Ordering),
        ] {
            let live = Phase::Live {
                serving,
                not_after: end,
                dns: DnsState::Here,
                next,
            };
            assert_eq!(next_action(&live, None, end), Action::Expire(serving));
            let expired = live.apply(crate::Event::CertificateEnded).unwrap();
            assert_ne!(next_action(&expired, None, end), Action::Expire(serving));
        }
    }

    #[test]
    fn a_failed_domain_is_idle_and_a_removed_one_is_forgotten() {
        assert_eq!(
            next_action(&Phase::Failed, None, Timestamp::EPOCH),
            Action::Idle
        );
        assert_eq!(
            next_action(&Phase::Gone, None, Timestamp::EPOCH),
            Action::Forget
        );
    }
}
