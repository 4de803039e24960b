//! What to do next with a record, from facts alone.

use crate::phase::{Issuance, Next, Phase};
use crate::{CertificateId, OrderId, Timestamp};

/// One step of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask every resolver where the name points.
    CheckDns,
    /// Fetch a token of ours through every published address.
    ProbeHttp,
    /// Create an order at the CA and store its URL.
    PlaceOrder,
    /// Publish the challenge, acknowledge it, see the order become ready.
    Validate(OrderId),
    /// Store a key, finalize the order, store the certificate.
    Finalize(OrderId),
    /// Deploy the certificate to every edge and prove it.
    Deploy(CertificateId),
    /// Begin the renewal of a live domain.
    BeginRenewal,
    /// See whether a live domain still points at us; its renewal begins at the given moment.
    Recheck {
        /// The stored renewal moment.
        renew_at: Timestamp,
    },
    /// Remove the domain from every edge.
    Undeploy,
    /// The quarantine is over: forget the record.
    Forget,
    /// Nothing until somebody asks.
    Rest,
}

/// What to do next, from the stored phase and the time: no I/O, no clock read, no randomness.
pub fn next_action(phase: &Phase, now: Timestamp) -> Action {
    match phase {
        Phase::Onboarding(issuance)
        | Phase::Live {
            next: Next::Now(issuance),
            ..
        } => issuance_action(issuance),
        Phase::Live {
            next: Next::At(at), ..
        } if *at <= now => Action::BeginRenewal,
        Phase::Live {
            next: Next::At(at), ..
        } => Action::Recheck { renew_at: *at },
        Phase::Leaving => Action::Undeploy,
        Phase::Gone => Action::Forget,
        Phase::Failed => Action::Rest,
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
    use uuid::Uuid;

    #[test]
    fn a_live_domain_is_looked_at_until_its_stored_renewal_moment() {
        let serving = CertificateId::from_uuid(Uuid::nil());
        let at = Timestamp::from_unix_seconds(100);
        let live = Phase::Live {
            serving,
            not_after: at,
            next: Next::At(at),
        };
        assert_eq!(
            next_action(&live, Timestamp::from_unix_seconds(99)),
            Action::Recheck { renew_at: at }
        );
        assert_eq!(next_action(&live, at), Action::BeginRenewal);
    }

    #[test]
    fn a_stopped_domain_rests_and_a_removed_one_is_forgotten() {
        assert_eq!(next_action(&Phase::Failed, Timestamp::EPOCH), Action::Rest);
        assert_eq!(next_action(&Phase::Gone, Timestamp::EPOCH), Action::Forget);
    }
}
