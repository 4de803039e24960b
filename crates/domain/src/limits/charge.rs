//! The buckets to which an order is charged, and the decision on all of them at once.

use std::fmt;
use std::time::Duration;

use super::bucket::{Bucket, Limit};
use super::published::{CaLimits, Endpoint, LimitKind};
use crate::{Hostname, Timestamp};

/// Longest time for which a token is booked ahead.
const RESERVED_AHEAD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A bucket's name in the store: limit, CA, and subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketKey(Box<str>);

impl BucketKey {
    /// The bucket of our account, or of our address, at the CA.
    pub fn of_account(kind: LimitKind, directory_url: &str) -> Self {
        Self(format!("{kind} {directory_url}").into())
    }

    /// The bucket of one name at the CA.
    pub fn of_name(kind: LimitKind, directory_url: &str, name: &str) -> Self {
        Self(format!("{kind} {directory_url} {name}").into())
    }

    /// The bucket of a tenant's unproven orders.
    pub fn of_tenant(directory_url: &str, tenant: &str) -> Self {
        Self::of_name(LimitKind::UnprovenOrders, directory_url, tenant)
    }

    /// The bucket of `kind` that an order for `host` is counted in. A tenant's is that of
    /// [`Self::of_tenant`].
    pub fn of_order(kind: LimitKind, directory_url: &str, host: &Hostname) -> Self {
        match kind {
            LimitKind::NewOrders
            | LimitKind::UnprovenOrders
            | LimitKind::NewAccounts
            | LimitKind::Requests(_) => Self::of_account(kind, directory_url),
            LimitKind::RegisteredDomain => {
                Self::of_name(kind, directory_url, host.registered_domain())
            }
            LimitKind::ExactSet | LimitKind::FailedValidations | LimitKind::ConsecutiveFailures => {
                Self::of_name(kind, directory_url, host.as_str())
            }
        }
    }

    /// A key as it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The limit, the CA's directory, and the subject if it is a name; `None` for a key of a newer
    /// version.
    pub fn parts(&self) -> Option<(LimitKind, &str, Option<&str>)> {
        let mut parts = self.0.splitn(3, ' ');
        let kind = LimitKind::named(parts.next()?)?;
        Some((kind, parts.next()?, parts.next()))
    }

    /// The name as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The limits from which a CA exempts a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// Everything is counted: no certificate for exactly this name came from this CA lately.
    None,
    /// Exactly the same names as a certificate of the last 120 days: neither a new order nor a new
    /// certificate of the domain.
    SameNames,
    /// The order names its predecessor (`replaces`, RFC 9773 §5) within the window that the CA
    /// suggested: nothing is counted.
    Replaces,
}

/// One token to be taken from one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The bucket.
    pub key: BucketKey,
    /// The kind of limit.
    pub kind: LimitKind,
    /// Its limit.
    pub limit: Limit,
    /// Whether the token is held until the outcome shows if the CA counted it; otherwise it is
    /// spent at once.
    pub held: bool,
    /// Whether an empty bucket reserves a future slot for the domain; otherwise the domain queues.
    pub reserves: bool,
}

impl Charge {
    /// The charges of one order, in the order of their keys. `first` means that no certificate is
    /// served yet.
    pub fn for_order(
        limits: &CaLimits,
        directory_url: &str,
        host: &Hostname,
        exemption: Exemption,
        first: bool,
    ) -> Vec<Self> {
        let names = [
            LimitKind::ExactSet,
            LimitKind::FailedValidations,
            LimitKind::ConsecutiveFailures,
        ];
        let mut kinds = vec![];
        if exemption == Exemption::None {
            kinds.extend([LimitKind::NewOrders, LimitKind::RegisteredDomain]);
        }
        if exemption != Exemption::Replaces {
            kinds.extend(names);
        }
        let mut charges: Vec<_> = kinds
            .into_iter()
            .map(|kind| Self {
                key: BucketKey::of_order(kind, directory_url, host),
                kind,
                limit: limits.get(kind),
                held: kind != LimitKind::NewOrders,
                reserves: !first || kind != LimitKind::NewOrders,
            })
            .collect();
        // The sender of the request pays for it. Here it only matters whether the CA demanded a
        // pause.
        charges.push(Self::gate(
            LimitKind::Requests(Endpoint::NewOrder),
            directory_url,
        ));
        charges.sort_by(|one, other| one.key.cmp(&other.key));
        charges
    }

    /// The charge of a first order to its tenant. It is held until the CA decides. A domain that
    /// finds none retries after its own back-off, since a reserved slot would be far away although
    /// others end soon.
    pub fn of_tenant(limits: &CaLimits, directory_url: &str, tenant: &str) -> Self {
        let kind = LimitKind::UnprovenOrders;
        Self {
            key: BucketKey::of_tenant(directory_url, tenant),
            kind,
            limit: limits.get(kind),
            held: true,
            reserves: false,
        }
    }

    /// Takes nothing, but waits while the bucket is blocked.
    pub fn gate(kind: LimitKind, directory_url: &str) -> Self {
        Self {
            key: BucketKey::of_account(kind, directory_url),
            kind,
            limit: Limit::NONE,
            held: false,
            reserves: false,
        }
    }
}

/// A bucket as one domain sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The bucket.
    pub bucket: Bucket,
    /// The moment for which the domain holds a token of it.
    pub slot: Option<Timestamp>,
}

/// The decision over all charges of an order, with the positions to be written in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Every bucket had a token, and every token was taken.
    Granted(Vec<Position>),
    /// At least one had none. Nothing was taken, but future slots were reserved where possible.
    /// `charge` is the one that clears last.
    Wait {
        /// Time of the next attempt.
        until: Timestamp,
        /// Its index.
        charge: usize,
        /// The positions to write.
        positions: Vec<Position>,
    },
    /// Only a bucket without slots had none; nothing was taken.
    Queue {
        /// Time of its next token.
        until: Timestamp,
        /// Its index.
        charge: usize,
    },
}

enum Answer {
    Ready(Position),
    Wait(Timestamp, Position),
    Queue(Timestamp),
}

/// Decides over all charges at once: every token or none.
pub fn rule(charges: &[Charge], positions: &[Position], now: Timestamp) -> Ruling {
    let answers: Vec<_> = charges
        .iter()
        .zip(positions)
        .map(|(charge, position)| answer(charge, *position, now))
        .collect();
    let mut waits = None;
    let mut queues = None;
    for (index, found) in answers.iter().enumerate() {
        match found {
            Answer::Ready(_) => {}
            Answer::Wait(until, _) => waits = waits.max(Some((*until, index))),
            Answer::Queue(until) => queues = queues.max(Some((*until, index))),
        }
    }
    if let Some((until, charge)) = waits {
        let written = |(found, position): (Answer, &Position)| match found {
            Answer::Wait(_, reserved) => reserved,
            Answer::Ready(_) | Answer::Queue(_) => *position,
        };
        return Ruling::Wait {
            until,
            charge,
            positions: answers.into_iter().zip(positions).map(written).collect(),
        };
    }
    if let Some((until, charge)) = queues {
        return Ruling::Queue { until, charge };
    }
    let taken = |(found, position): (Answer, &Position)| match found {
        Answer::Ready(taken) => taken,
        Answer::Wait(..) | Answer::Queue(_) => *position,
    };
    Ruling::Granted(answers.into_iter().zip(positions).map(taken).collect())
}

fn answer(charge: &Charge, position: Position, now: Timestamp) -> Answer {
    let Position { mut bucket, slot } = position;
    let limit = &charge.limit;
    let paid = |bucket| Position {
        bucket,
        slot: charge.held.then_some(now),
    };
    if limit.is_none() {
        return match bucket.token_at(limit, now, 1) {
            until if until > now => Answer::Wait(until, position),
            _ => Answer::Ready(position),
        };
    }
    if let Some(slot) = slot {
        let ready_at = slot.max(bucket.blocked_until);
        if ready_at > now {
            return Answer::Wait(ready_at, position);
        }
        if now.since(slot) <= limit.margin {
            let slot = charge.held.then_some(slot);
            return Answer::Ready(Position { bucket, slot });
        }
        // A token used later than booked must be available now as well, so it is exchanged.
        bucket = bucket.refund(limit, now, 1);
    }
    match bucket.spend(limit, now, 1) {
        Ok(bucket) => Answer::Ready(paid(bucket)),
        Err(next) if charge.reserves && next.since(now) > RESERVED_AHEAD => {
            // Nothing is booked so far ahead, since most waiting domains will be gone by then. The
            // first domain that returns when the next token is near enough gets it.
            let again = (next - RESERVED_AHEAD).max(bucket.blocked_until);
            Answer::Wait(again, Position { bucket, slot: None })
        }
        Err(_) if charge.reserves => {
            let (bucket, until) = bucket.reserve(limit, now);
            let slot = Some(until);
            Answer::Wait(until, Position { bucket, slot })
        }
        Err(until) => Answer::Queue(until),
    }
}

/// The effect of a step's outcome on one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bucket.
    pub key: BucketKey,
    /// Its limit.
    pub limit: Limit,
    /// The change of the bucket.
    pub change: Change,
}

/// A change of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The CA counted one now, whether a token was held for it or not.
    Spend,
    /// The CA counted now the token that is held, if one is.
    Confirm,
    /// The CA did not count the token that is held, if one is.
    Release,
    /// The CA did not count a token that was spent at once.
    Refund,
    /// The CA starts its count again.
    Reset,
    /// The CA gives nothing before this moment.
    Block(Timestamp),
}

impl Entry {
    /// The position after it.
    #[must_use]
    pub fn apply(&self, position: Position, now: Timestamp) -> Position {
        let Position { bucket, slot } = position;
        let limit = &self.limit;
        let released = || match slot {
            Some(_) => bucket.refund(limit, now, 1),
            None => bucket,
        };
        let free = |bucket| Position { bucket, slot: None };
        match self.change {
            Change::Spend => free(released().count(limit, now, 1)),
            Change::Confirm if slot.is_some() => free(released().count(limit, now, 1)),
            Change::Confirm => position,
            Change::Release => free(released()),
            Change::Refund => Position {
                bucket: bucket.refund(limit, now, 1),
                slot,
            },
            Change::Reset => Position::default(),
            Change::Block(until) => Position {
                bucket: bucket.block(limit, until),
                slot,
            },
        }
    }
}

#[cfg(test)]
#[path = "charge_tests.rs"]
mod tests;
