//! Observations of a domain at the parties outside: DNS, CAA records, proofs, the HTTP probe. They
//! write nothing to the store. Steps decide by them, and a diagnosis shows them.

pub(crate) mod caa;
pub(crate) mod cdn;
pub(crate) mod claim;
pub(crate) mod dns;
mod evidence;
pub(crate) mod path;

pub use self::evidence::Evidence;
use crate::ports::store::DomainRecord;
use crate::service::Service;

/// The domain that is observed, and what takes the observations.
#[derive(Clone, Copy)]
pub(crate) struct Observer<'a> {
    pub(crate) service: &'a Service,
    pub(crate) record: &'a DomainRecord,
    pub(crate) evidence: &'a Evidence,
}
