//! Revokes the certificates of a domain that ended, once no edge presents them (RFC 8555 §7.6).

use dps_domain::outcome::{Outcome, RevocationStep};
use dps_domain::record::revocation::{Candidate, Verdict};
use dps_domain::revocation::RevocationReason;

use super::context::StepContext;
use super::fault::Fault;
use crate::ca::account::account;
use crate::ca::directory;
use crate::edges::presented::Presented;
use crate::ports::ca::{CaDisposition, CaError};
use crate::ports::store::{StoreError, StoredCertificate};

/// Certificates of one domain that are revoked at most, the newest first.
const MAX_CERTIFICATES: u32 = 64;

/// Revokes the newest certificate that is left, and no other: the next one is due at once. Runs
/// twice without harm: the CA says that a certificate is revoked already.
pub(super) async fn revoke(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let now = context.service.now();
    let mut of_another_ca = vec![];
    let mut left = valid(context).await?.into_iter().peekable();
    while let Some(stored) = left.next() {
        match candidate(context, &stored).await?.judge(now) {
            Verdict::Revoke => {
                if let Some(otherwise) = request(context, &stored).await? {
                    return Ok(otherwise);
                }
                return Ok(Outcome::Revocation(RevocationStep::Done {
                    revoked: Some(stored.certificate.details.serial),
                    of_another_ca,
                    left_below: left.peek().map(|_| stored.generation),
                }));
            }
            Verdict::OfAnotherCa => of_another_ca.push(stored.certificate.details.serial),
            Verdict::TooEarly => return Ok(Outcome::Revocation(RevocationStep::TooEarly)),
            Verdict::Stays => {}
        }
    }
    Ok(Outcome::Revocation(RevocationStep::Done {
        revoked: None,
        of_another_ca,
        left_below: None,
    }))
}

/// Requests the revocation of one certificate. `None`: the CA carried it out.
async fn request(
    context: &StepContext<'_>,
    stored: &StoredCertificate,
) -> Result<Option<Outcome>, Fault> {
    let service = context.service;
    directory::check(service.store.as_ref(), service.ca.directory_url()).await?;
    let account = match account(service).await.map_err(Fault::from) {
        Err(Fault::Ca(error)) => return Ok(Some(refused(context, error))),
        other => other?,
    };
    let chain_pem = &stored.certificate.details.chain_pem;
    let reason = RevocationReason::CessationOfOperation;
    let result = service.ca.revoke(&account, chain_pem, reason).await;
    Ok(result.err().map(|error| refused(context, error)))
}

/// The certificates that are left and have not ended, the newest first; none if the operator no
/// longer wants them to be revoked.
async fn valid(context: &StepContext<'_>) -> Result<Vec<StoredCertificate>, StoreError> {
    let (service, id) = (context.service, context.record.id);
    if !service.policy.revoke_ended {
        return Ok(vec![]);
    }
    let valid_at = service.now();
    let store = &service.store;
    let all = store.certificates_valid(id, valid_at, MAX_CERTIFICATES);
    let mut left = all.await?;
    if let Some(revocation) = context.record.revocation {
        left.retain(|stored| revocation.is_left(stored.generation));
    }
    Ok(left)
}

async fn candidate(
    context: &StepContext<'_>,
    stored: &StoredCertificate,
) -> Result<Candidate, StoreError> {
    let (service, certificate) = (context.service, &stored.certificate);
    let order = service.store.order(certificate.order_id).await?;
    let presented = Presented::read(service, stored).await?;
    Ok(Candidate {
        not_after: certificate.details.not_after,
        is_served: presented.served_for.is_some(),
        may_be_presented: presented.is_possible(),
        is_of_our_ca: order.is_some_and(|order| order.directory_url == service.ca.directory_url()),
    })
}

/// The outcome of an error of the CA, or of our own if nothing was sent. Only a refusal of the
/// request is a try.
fn refused(context: &StepContext<'_>, error: CaError) -> Outcome {
    match error.disposition() {
        CaDisposition::Local
        | CaDisposition::Paced { .. }
        | CaDisposition::Unavailable { .. }
        | CaDisposition::RateLimited { .. } => context.ca_error(error),
        CaDisposition::NamePaused | CaDisposition::OrderLost(_) | CaDisposition::Refused(_) => {
            Outcome::Revocation(RevocationStep::Refused {
                detail: error.to_string(),
            })
        }
    }
}
