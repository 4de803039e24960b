//! Store a key, finalize the order, store the certificate (RFC 8555 §7.4).

use std::time::Duration;

use dps_domain::limits::OrderEffect;
use dps_domain::phase::Phase;
use dps_domain::{CertificateId, Event, EventKind, Failure, OrderId, Purpose, Timestamp};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use super::context::StepContext;
use super::fault::Fault;
use crate::ca::account::account;
use crate::crash_point::{self, Effect};
use crate::ports::ca::{Account, CaDisposition, CaError, LostOrder, OrderStatus, OrderView};
use crate::ports::store::{NewCertificate, StoredCertificate, StoredOrder};
use crate::ports::vault::{SecretContext, SecretPurpose};
use dps_domain::outcome::{Outcome, Then};

/// The first pause between polls of the order; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause between polls.
const LAST_PAUSE: Duration = Duration::from_secs(3);

/// The life of an order whose CA does not say when it expires.
const ORDER_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The time in which the certificate of a valid order must be had, for a domain that serves none.
const CERTIFICATE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The same for a certificate of minutes.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The time that every order is given, whatever its CA and our clock make of its end.
const SHORTEST_LIFE: Duration = Duration::from_secs(60 * 60);

pub(super) async fn finalize(context: &StepContext<'_>, id: OrderId) -> Result<Outcome, Fault> {
    let service = context.service;
    // The step before stored its certificate and died before its outcome was recorded: the run
    // continues with that certificate.
    if let Some(stored) = service.store.certificate_of_order(id).await? {
        context.evidence.order(OrderEffect::Issued);
        return Ok(stored_outcome(context, &stored));
    }
    let Some(order) = service.store.order(id).await? else {
        return Err(Fault::Inconsistent(format!(
            "the order {id} of the record is not stored"
        )));
    };
    context.evidence.note("orderUrl", order.url.as_str());
    if context.is_of_another_directory(&order).await? {
        service.store.order_close(id, service.now()).await?;
        context.evidence.order(OrderEffect::Lost);
        return Err(Fault::Ca(CaError::OrderGone {
            detail: format!("it was placed at {}", order.directory_url),
        }));
    }
    let account = account(service).await?;
    let key = order_key(context, &order).await?;
    match issue(context, &account, &order, &key).await {
        Err(Fault::Ca(error)) => {
            if ends_order(&error) {
                service.store.order_close(id, service.now()).await?;
                context.evidence.order(OrderEffect::Lost);
            }
            Err(Fault::Ca(error))
        }
        other => other,
    }
}

/// Whether an order that was to be finalized leads to no certificate any more.
const fn ends_order(error: &CaError) -> bool {
    match error.disposition() {
        CaDisposition::OrderLost(LostOrder::Gone | LostOrder::ValidationFailed) => true,
        // The CA took the name when it took the order.
        CaDisposition::OrderLost(LostOrder::NameRejected)
        | CaDisposition::Local
        | CaDisposition::Paced { .. }
        | CaDisposition::Unavailable { .. }
        | CaDisposition::RateLimited { .. }
        | CaDisposition::NamePaused
        | CaDisposition::Refused(_) => false,
    }
}

/// Whether the CA says that the requested resource is not there.
fn is_gone(error: &CaError) -> bool {
    error.disposition() == CaDisposition::OrderLost(LostOrder::Gone)
}

/// The certificate's key: made and stored once per order, before the CA sees a request signed with
/// it.
async fn order_key(context: &StepContext<'_>, order: &StoredOrder) -> Result<SecretString, Fault> {
    let service = context.service;
    let row = order.id.to_string();
    let place = SecretContext {
        purpose: SecretPurpose::OrderKey,
        row: &row,
    };
    let sealed = match &order.key {
        Some(sealed) => sealed.clone(),
        None => {
            let sealed = service.vault.seal(place, &service.pki.new_key()?)?;
            crash_point::before(Effect::KeySave);
            let stored = service.store.order_put_key(order.id, &sealed).await?;
            crash_point::after(Effect::KeySave);
            stored
        }
    };
    Ok(service.vault.open(place, &sealed)?)
}

async fn issue(
    context: &StepContext<'_>,
    account: &Account,
    order: &StoredOrder,
    key: &SecretString,
) -> Result<Outcome, Fault> {
    let service = context.service;
    let ends = context.times_out_at();
    let mut wait = FIRST_PAUSE;
    let mut finalized = false;
    loop {
        let view = service.ca.order(account, &order.url).await?;
        match view.status {
            OrderStatus::Valid => {
                let stored = store(context, account, order, key).await;
                return match stored {
                    Err(fault) => without_certificate(context, order, &view, fault).await,
                    stored => stored,
                };
            }
            OrderStatus::Ready if !finalized => {
                send_signing_request(context, account, order, key).await?;
                finalized = true;
                continue;
            }
            OrderStatus::Invalid => {
                service.store.order_close(order.id, service.now()).await?;
                context.evidence.order(OrderEffect::Lost);
                let failure = view.failure.unwrap_or(Failure::Internal {
                    detail: "the order became invalid while it was finalized".into(),
                });
                let pause = failure.counts_against_domain();
                return Ok(Outcome::failed(failure, Then::NewOrder { pause }));
            }
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Pending => {}
        }
        if let Some(ended) = ended(context, order, &view).await? {
            return Ok(ended);
        }
        if let Some(waiting) = pause(context, order, &view, &mut wait, LAST_PAUSE, ends).await {
            return Ok(waiting);
        }
    }
}

/// The order is valid, and its certificate could not be had. It is paid for, so it is requested
/// again; another order is placed only when a whole time-out or the order's life has passed.
async fn without_certificate(
    context: &StepContext<'_>,
    order: &StoredOrder,
    view: &OrderView,
    fault: Fault,
) -> Result<Outcome, Fault> {
    let service = context.service;
    let detail = match &fault {
        // A server that does not have it yet lags.
        Fault::Ca(error) if is_gone(error) => error.detail().to_owned(),
        Fault::Rejected(rejected) => rejected.clone(),
        _ => return Err(fault),
    };
    let timeout = order.created_at + timeout(context, order, CERTIFICATE_TIMEOUT);
    let given_up_at = view.expires.map_or(timeout, |expires| {
        not_too_soon(context, order, expires).min(timeout)
    });
    if service.now() < given_up_at {
        return Err(match fault {
            Fault::Ca(_) => Fault::Ca(CaError::Unavailable {
                detail,
                retry_after: None,
            }),
            other => other,
        });
    }
    // The CA counted it all the same.
    context.evidence.order(OrderEffect::Issued);
    service.store.order_close(order.id, service.now()).await?;
    let detail =
        format!("the certificate of a valid order could not be had, another is ordered: {detail}");
    Ok(Outcome::failed(
        Failure::Internal { detail },
        Then::NewOrder { pause: false },
    ))
}

/// The time after which an order of the domain is given up, `longest` at most. Before the
/// certificate that is served ends, there must be time for another order.
fn timeout(context: &StepContext<'_>, order: &StoredOrder, longest: Duration) -> Duration {
    match &context.record.phase {
        Phase::Live { not_after, .. } | Phase::Expired { not_after, .. } => {
            (not_after.since(order.created_at) / 4).clamp(SHORTEST_TIMEOUT, longest)
        }
        Phase::Onboarding(_) | Phase::Failed | Phase::Leaving | Phase::Gone => longest,
    }
}

/// The end of an order that the CA names, or a later one that leaves it the time it needs.
fn not_too_soon(context: &StepContext<'_>, order: &StoredOrder, expires: Timestamp) -> Timestamp {
    // A CA that names a time in the past, or our clock if it is ahead, would end every order at
    // once.
    expires.max(order.created_at + timeout(context, order, SHORTEST_LIFE))
}

/// The outcome for an order whose life is over although the CA shows it still; `None` while it
/// lives.
pub(super) async fn ended(
    context: &StepContext<'_>,
    order: &StoredOrder,
    view: &OrderView,
) -> Result<Option<Outcome>, Fault> {
    let service = context.service;
    let ends = view.expires.unwrap_or(order.created_at + ORDER_LIFE);
    let ends = not_too_soon(context, order, ends);
    if service.now() < ends {
        return Ok(None);
    }
    context.evidence.order(OrderEffect::Lost);
    service.store.order_close(order.id, service.now()).await?;
    let detail = format!("the order ended at {ends} without a certificate");
    let outcome = Outcome::failed(
        Failure::Internal { detail },
        Then::NewOrder { pause: false },
    );
    Ok(Some(outcome))
}

/// Sends the signing request. If the CA refuses because of the order's state, the state is read
/// before the order is given up. Another worker's request may have come first, and then the order
/// leads to the certificate.
async fn send_signing_request(
    context: &StepContext<'_>,
    account: &Account,
    order: &StoredOrder,
    key: &SecretString,
) -> Result<(), Fault> {
    let service = context.service;
    let request = service.pki.signing_request(key, &context.record.hostname)?;
    crash_point::before(Effect::Finalize);
    let answer = service.ca.finalize(account, &order.url, &request).await;
    crash_point::after(Effect::Finalize);
    let refused = match answer {
        Err(error) if is_gone(&error) => error,
        other => return Ok(other?),
    };
    match service.ca.order(account, &order.url).await?.status {
        OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => Ok(()),
        OrderStatus::Pending | OrderStatus::Invalid => Err(refused.into()),
    }
}

/// Verifies the chain before it is stored: what does not fit key, name and date is never served.
async fn store(
    context: &StepContext<'_>,
    account: &Account,
    order: &StoredOrder,
    key: &SecretString,
) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    crash_point::before(Effect::CertificateFetch);
    let chain_pem = service.ca.certificate(account, &order.url).await?;
    crash_point::after(Effect::CertificateFetch);
    let now = service.now();
    let details = service
        .pki
        .inspect(&chain_pem, key, &record.hostname, now)
        .map_err(|rejected| Fault::Rejected(rejected.to_string()))?;
    let id = CertificateId::new(now, service.randomness.id_bytes());
    let row = id.to_string();
    let sealed = service.vault.seal(
        SecretContext {
            purpose: SecretPurpose::CertificateKey,
            row: &row,
        },
        key,
    )?;
    let certificate = NewCertificate {
        id,
        domain_id: record.id,
        order_id: order.id,
        hostname: record.hostname.clone(),
        details,
        key: sealed,
        created_at: now,
    };
    crash_point::before(Effect::CertificateSave);
    let stored = service.store.certificate_insert(&certificate).await?;
    crash_point::after(Effect::CertificateSave);
    context.evidence.order(OrderEffect::Issued);
    Ok(stored_outcome(context, &stored))
}

fn stored_outcome(context: &StepContext<'_>, stored: &StoredCertificate) -> Outcome {
    let certificate = &stored.certificate;
    let detail = json!({
        "fingerprint": certificate.details.fingerprint,
        "serial": certificate.details.serial,
        "issuer": context.service.pki.issuer(&certificate.details.chain_pem),
        "notBefore": certificate.details.not_before,
        "notAfter": certificate.details.not_after,
    });
    Outcome::Moved {
        event: Event::CertificateStored(certificate.id),
        kind: EventKind::CertificateStored,
        detail,
    }
}

/// Waits before the next poll of an order: as long as the CA said, else a pause that doubles. An
/// outcome means that the wait goes beyond this step's timeout and the record is given back until
/// then.
pub(super) async fn pause(
    context: &StepContext<'_>,
    order: &StoredOrder,
    view: &OrderView,
    wait: &mut Duration,
    longest: Duration,
    ends: Instant,
) -> Option<Outcome> {
    let now = context.service.now();
    let delay = view
        .retry_after
        .map_or(*wait, |until| until.at().since(now));
    *wait = (*wait * 2).min(longest);
    if Instant::now() + delay >= ends {
        // An order that has taken long takes longer still.
        let by_age = Purpose::Poll.bound(now.since(order.created_at) / 10);
        return Some(Outcome::Waiting {
            until: now + delay.max(longest).max(by_age),
            kind: EventKind::CaWaiting,
        });
    }
    tokio::time::sleep(delay).await;
    None
}
