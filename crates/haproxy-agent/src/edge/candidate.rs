//! A certificate that was found good and waits to be served.

use dps_agent_api::ProblemCode;
use dps_domain::Hostname;

use super::Refusal;
use crate::disk::{Disk, DiskError, Held, StoredCertificate, Tombstone};
use crate::runtime_api::{Payload, StoreName};

/// Everything about a certificate that can be worked out before its turn has come.
pub(crate) struct Candidate {
    pub(super) stored: StoredCertificate,
    pub(super) payload: Payload,
    pub(super) wanted: Held,
}

impl Candidate {
    pub(super) fn new(stored: StoredCertificate, disk: &Disk) -> Result<Self, DiskError> {
        let name = disk.store_name(&stored.hostname)?;
        Ok(Self {
            payload: Payload::new(&stored.chain, &stored.key),
            wanted: Held::of(&stored, name),
            stored,
        })
    }

    pub(super) const fn hostname(&self) -> &Hostname {
        &self.stored.hostname
    }

    pub(super) const fn name(&self) -> &StoreName {
        &self.wanted.name
    }

    /// Remembers a higher generation than the one it came with.
    pub(super) fn raise_generation(&mut self, generation: u64) {
        self.stored.generation = self.stored.generation.max(generation);
        self.wanted.generation = self.stored.generation;
    }

    /// Refuses what is older than what is held, or as old and another certificate.
    pub(super) fn check_order(&self, held: &Held) -> Result<(), Refusal> {
        let (wanted, hostname) = (&self.wanted, self.hostname());
        if held.is_same_chain(wanted) || wanted.generation > held.generation {
            return Ok(());
        }
        let generation = held.generation;
        if wanted.generation < generation {
            let what_is = format!("generation {generation} of {hostname} is held");
            return Err(Refusal::stale(&what_is, wanted.generation));
        }
        let detail = format!(
            "generation {generation} of {hostname} is held with another certificate; use a higher one"
        );
        let code = ProblemCode::GenerationConflict;
        Err(Refusal::request(code, "generation", detail))
    }

    /// Refuses what is older than what was removed: it was under way for long.
    pub(super) fn check_removal(&self, tombstone: Tombstone) -> Result<(), Refusal> {
        if self.wanted.generation >= tombstone.generation {
            return Ok(());
        }
        let (generation, hostname) = (tombstone.generation, self.hostname());
        let what_is = format!("generation {generation} of {hostname} was removed");
        Err(Refusal::stale(&what_is, self.wanted.generation))
    }
}
