//! Which domains wait for the end of an outage of ours, so that its end, and not each domain's own
//! back-off, brings them forward.
//!
//! It is known to the process that met the outage, and within bounds: what is forgotten is tried
//! again by its own back-off.

pub(crate) mod ended;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use dps_domain::{DomainId, Failure};

/// Domains remembered of each outage at most.
const CAPACITY: usize = 50_000;
/// Something of ours that can be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The resolvers, all of them.
    Resolvers,
    /// An edge.
    Edges,
}

impl Party {
    const ALL: [Self; 2] = [Self::Resolvers, Self::Edges];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Resolvers => "resolvers",
            Self::Edges => "edges",
        }
    }

    /// Whose outage the failure is, if it is one.
    const fn blamed_for(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::DnsTimeout {
                resolver_outage: true,
                ..
            } => Some(Self::Resolvers),
            Failure::EdgeUnreachable { .. } => Some(Self::Edges),
            _ => None,
        }
    }
}

/// The domains that wait for each party.
#[derive(Debug, Default)]
pub struct Outages([Mutex<BTreeSet<DomainId>>; Party::ALL.len()]);

impl Outages {
    /// Remembers a domain whose step failed by an outage of ours.
    pub(crate) fn note(&self, id: DomainId, failure: &Failure) {
        let Some(party) = Party::blamed_for(failure) else {
            return;
        };
        let mut waiting = self.0[party as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < CAPACITY {
            waiting.insert(id);
        }
    }

    pub(super) fn take(&self, party: Party) -> BTreeSet<DomainId> {
        let mut waiting = self.0[party as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }
}
