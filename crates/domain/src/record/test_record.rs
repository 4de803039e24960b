//! The record with which the tests of settling and of the ledger begin.

use uuid::Uuid;

use super::DomainRecord;
use crate::{DomainId, Hostname, Phase, Timestamp};

/// The present moment of the tests.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A record in this phase, in its first attempt.
pub(crate) fn record(phase: Phase) -> DomainRecord {
    let name = |text| Hostname::parse(text).unwrap();
    let (host, target) = (name("shop.example.com"), name("edge.platform.net"));
    let id = DomainId::from_uuid(Uuid::from_u128(1));
    DomainRecord {
        phase,
        attempt: 1,
        ..DomainRecord::new(id, "acme".into(), host, target, 1, NOW)
    }
}
