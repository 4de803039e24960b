//! The limits that a record's order counts against: the charges before it is sent, and the entries
//! of its effects.

use super::{DomainRecord, waits};
use crate::limits::{
    BucketKey, CaLimits, Change, Charge, Entry, Exemption, LimitKind, OrderEffect,
};
use crate::phase::{Issuance, Phase};
use crate::{Timestamp, Until};

/// The limits of which a token is held for an order, apart from its tenant's.
const OF_ORDER: [LimitKind; 4] = [
    LimitKind::FailedValidations,
    LimitKind::ConsecutiveFailures,
    LimitKind::RegisteredDomain,
    LimitKind::ExactSet,
];

/// The limits of one CA.
#[derive(Debug, Clone, Copy)]
pub struct OrderLimits<'a> {
    /// The limits.
    pub limits: &'a CaLimits,
    /// The URL of the CA's directory.
    pub directory_url: &'a str,
}

/// Whether the record was leased with an order's token of the account's: it waited in the queue.
pub fn has_order_token(record: &DomainRecord) -> bool {
    record.phase == Phase::Onboarding(Issuance::Queued)
}

impl OrderLimits<'_> {
    /// Returns the charges of the record's next order, in the order of their keys.
    pub fn charges(&self, record: &DomainRecord, exemption: Exemption) -> Vec<Charge> {
        let (limits, directory_url) = (self.limits, self.directory_url);
        let first = !record.phase.was_served();
        let hostname = &record.hostname;
        let mut charges = Charge::for_order(limits, directory_url, hostname, exemption, first);
        if first {
            let charge = Charge::of_tenant(limits, directory_url, &record.tenant_id);
            charges.extend(Some(charge).filter(|charge| !charge.limit.is_none()));
            charges.sort_by(|one, other| one.key.cmp(&other.key));
        }
        if has_order_token(record) {
            charges.retain(|charge| charge.kind != LimitKind::NewOrders);
        }
        charges
    }

    /// Returns the entries of the effects of one step on the record's order.
    pub fn entries(&self, record: &DomainRecord, effects: &[OrderEffect]) -> Vec<Entry> {
        let mut entries = vec![];
        for effect in effects {
            self.add(&mut entries, record, effect);
        }
        entries
    }

    fn add(&self, entries: &mut Vec<Entry>, record: &DomainRecord, effect: &OrderEffect) {
        use LimitKind::{
            ConsecutiveFailures, ExactSet, FailedValidations, NewOrders, RegisteredDomain,
        };
        let of_order = |kind, change| self.of_order(record, kind, change);
        let of_tenant = |change| self.of_tenant(record, change);
        match effect {
            OrderEffect::NotSent => {
                let refund = has_order_token(record).then(|| of_order(NewOrders, Change::Refund));
                entries.extend(refund);
            }
            OrderEffect::NotPlaced {
                exemption,
                may_be_counted,
            } => {
                self.add(entries, record, &OrderEffect::Lost);
                if *exemption == Exemption::None && !may_be_counted {
                    entries.push(of_order(NewOrders, Change::Refund));
                }
            }
            OrderEffect::Lost => {
                entries.extend(OF_ORDER.map(|kind| of_order(kind, Change::Release)));
                entries.extend(of_tenant(Change::Release));
            }
            OrderEffect::Refused => {
                self.add(entries, record, &OrderEffect::Lost);
                entries.extend(of_tenant(Change::Spend));
            }
            OrderEffect::ValidationFailed => {
                entries.extend([
                    of_order(FailedValidations, Change::Spend),
                    of_order(ConsecutiveFailures, Change::Spend),
                    of_order(RegisteredDomain, Change::Release),
                    of_order(ExactSet, Change::Release),
                ]);
                entries.extend(of_tenant(Change::Spend));
            }
            OrderEffect::Validated { proven } => {
                entries.push(of_order(FailedValidations, Change::Release));
                // A remembered validation does not end the CA's count of failures.
                let consecutive = if *proven {
                    Change::Reset
                } else {
                    Change::Release
                };
                entries.push(of_order(ConsecutiveFailures, consecutive));
                // A success pays for one failure, so that a tenant is not held up as long as no
                // more than half of its orders fail.
                entries.extend(of_tenant(Change::Release));
                entries.extend(of_tenant(Change::Refund));
            }
            // The CA counts the names of every certificate, those of a renewal too, but the
            // registered domain only of a new one.
            OrderEffect::Issued => entries.extend([
                of_order(RegisteredDomain, Change::Confirm),
                of_order(ExactSet, Change::Spend),
            ]),
            OrderEffect::RateLimited { refused, until } => {
                let (kind, change) = (refused.kind, Change::Block(*until));
                let mut entry = of_order(kind, change);
                if let Some(name) = &refused.subject {
                    entry.key = BucketKey::of_name(kind, self.directory_url, name);
                }
                entries.push(entry);
            }
        }
    }

    /// Returns the entry for leaving a first order that the CA has not decided: that of a failure.
    /// Otherwise names that are added and removed again would cost nothing.
    pub fn abandoned(&self, before: &DomainRecord, after: &DomainRecord) -> Option<Entry> {
        let is_undecided = matches!(before.phase.issuance(), Some(Issuance::Validating { .. }));
        let is_left = before.phase != after.phase;
        self.of_tenant(before, Change::Spend)
            .filter(|_| is_undecided && is_left)
    }

    /// Returns `until`, at most as late as a refusal by this limit can mean. For a served
    /// domain, it is at most as late as its certificate can wait.
    pub fn bounded(
        &self,
        kind: LimitKind,
        until: Until,
        record: &DomainRecord,
        now: Timestamp,
    ) -> Until {
        let until = until.within(kind.longest_wait(&self.limits.get(kind)), now);
        match waits::longest_wait(&record.phase, None, now) {
            Some(longest) => until.within(longest, now),
            None => until,
        }
    }

    fn of_order(&self, record: &DomainRecord, kind: LimitKind, change: Change) -> Entry {
        Entry {
            key: BucketKey::of_order(kind, self.directory_url, &record.hostname),
            limit: self.limits.get(kind),
            change,
        }
    }

    /// An entry in the bucket of a tenant's unproven orders; `None` for a domain that had a
    /// certificate.
    fn of_tenant(&self, record: &DomainRecord, change: Change) -> Option<Entry> {
        let is_first = !record.phase.was_served();
        is_first.then(|| Entry {
            key: BucketKey::of_tenant(self.directory_url, &record.tenant_id),
            limit: self.limits.get(LimitKind::UnprovenOrders),
            change,
        })
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
