//! Works at the revocations that operators requested, one certificate at a time.
//!
//! A request is claimed for a time, so that one replica works at it. After a crash, its step is
//! made again: the CA says that a certificate is revoked already, and an erased key stays erased.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::record::operator::revocation_noted;
use dps_domain::revocation::{
    AtCa, RequestedRevocation, RevocationStep, RevocationWrite, ServedBy, Situation,
};
use dps_domain::{EventKind, with_causes};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::ca::revocation::{Revoked, revoke};
use crate::edges::presented::Presented;
use crate::ports::store::{ClaimedRevocation, StoreError};
use crate::service::Service;

/// Time between two checks whether a request is due, while none is.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Time for which a request is claimed. After a crash, it waits as long.
const LEASE: Duration = Duration::from_secs(120);
/// Attempts to write a record that others write at the same time.
const TRIES: usize = 5;

/// Works at requests until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut pause = CHECK_INTERVAL.mul_f64(service.randomness.unit());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        // A step is one request to the CA at most. It is finished, so that its outcome is written.
        pause = match work_at_revocation(&service).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => CHECK_INTERVAL,
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "revocation.delayed");
                CHECK_INTERVAL
            }
        };
    }
}

/// Makes the next step of the request that is due longest. Returns whether there was one.
pub async fn work_at_revocation(service: &Service) -> Result<bool, StoreError> {
    let now = service.now();
    let store = &service.store;
    let Some(claimed) = store.revocation_claim(now, now + LEASE).await? else {
        return Ok(false);
    };
    let (request, certificate) = (claimed.revocation, &claimed.stored.certificate);
    let serial = certificate.details.serial.as_str();
    let revoked = |at_ca| RequestedRevocation { at_ca, ..request };
    match request.next_step(situation(service, &claimed).await?, now) {
        RevocationStep::WaitUntil(at) => store.revocation_put_off(&claimed, at).await?,
        RevocationStep::End => write(service, &claimed, request, None).await?,
        RevocationStep::EraseKey => {
            let line = (EventKind::KeyErased, json!({ "serial": serial }));
            write(service, &claimed, request, Some(line)).await?;
        }
        RevocationStep::OfAnotherCa => {
            let line = json!({ "serials": [], "ofAnotherCa": [serial] });
            let line = (EventKind::RevocationGivenUp, line);
            write(service, &claimed, revoked(AtCa::GivenUp), Some(line)).await?;
        }
        RevocationStep::Revoke => match revoke(service, &claimed.stored, request.reason).await? {
            Revoked::Yes => {
                let reason = request.reason;
                let line = json!({ "serials": [serial], "revocationReason": reason });
                let line = (EventKind::CertificateRevoked, line);
                write(service, &claimed, revoked(AtCa::Revoked), Some(line)).await?;
            }
            Revoked::Later(at) => {
                let due = request.again_at(now);
                let due = at.map_or(due, |at| at.max(now));
                store.revocation_put_off(&claimed, due).await?;
            }
            Revoked::Refused(error) => {
                let next = request.refused();
                let kind = if next.at_ca == AtCa::GivenUp {
                    EventKind::RevocationGivenUp
                } else {
                    EventKind::RevocationFailed
                };
                let line = json!({ "serial": serial, "error": error, "tries": next.tries });
                write(service, &claimed, next, Some((kind, line))).await?;
            }
        },
    }
    Ok(true)
}

async fn situation(
    service: &Service,
    claimed: &ClaimedRevocation,
) -> Result<Situation, StoreError> {
    let certificate = &claimed.stored.certificate;
    let order = service.store.order(certificate.order_id).await?;
    let presented = Presented::read(service, &claimed.stored).await?;
    let served_for = presented.served_for.as_ref();
    Ok(Situation {
        not_after: certificate.details.not_after,
        is_of_our_ca: order.is_some_and(|order| order.directory_url == service.ca.directory_url()),
        served: match served_for {
            None => ServedBy::Nobody,
            Some(record) if record.phase.is_moved_away() => ServedBy::MovedAway,
            Some(_) => ServedBy::Replaceable,
        },
        presented: presented.by(service).await?,
        has_key: !certificate.key.0.is_empty(),
    })
}

/// Writes the request with a line of the domain's history. The next step finds what is left to
/// do; it is due at once unless the CA refused.
async fn write(
    service: &Service,
    claimed: &ClaimedRevocation,
    revocation: RequestedRevocation,
    line: Option<(EventKind, Value)>,
) -> Result<(), StoreError> {
    let (store, certificate) = (&service.store, &claimed.stored.certificate);
    let now = service.now();
    let is_refusal = revocation.tries > claimed.revocation.tries;
    let due_at = match line {
        None => None,
        Some(_) if is_refusal && revocation.at_ca == AtCa::Pending => {
            Some(revocation.again_at(now))
        }
        Some(_) => Some(now),
    };
    let write = RevocationWrite {
        certificate: certificate.id,
        revocation,
        due_at,
        claim: Some(claimed.claim),
        erases_key: matches!(line, Some((EventKind::KeyErased, _))),
    };
    let (host, serial) = (&certificate.hostname, &certificate.details.serial);
    for _ in 0..TRIES {
        // A domain that is forgotten takes its certificates along.
        let Some(record) = store.domain(certificate.domain_id).await? else {
            return Ok(());
        };
        let noted = revocation_noted(&record, write, line.clone(), now, &service.replica);
        if store.domain_update(noted).await? {
            let (domain, kind) = (record.id, line.as_ref().map(|(kind, _)| *kind));
            match kind {
                Some(EventKind::RevocationGivenUp) => tracing::warn!(
                    domain.id = %domain, domain.hostname = %host, serial, "revocation.given_up"
                ),
                Some(kind) => tracing::info!(
                    domain.id = %domain, domain.hostname = %host, serial, line = %kind,
                    "revocation.advanced"
                ),
                None => {}
            }
            return Ok(());
        }
    }
    // The claim ends, and the step is made again.
    Ok(())
}
