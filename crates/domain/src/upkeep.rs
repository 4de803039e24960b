//! What is done for a live domain between its renewals: its DNS is looked at, and the CA is asked when to renew. Each has its own
//! moment, and what fails in one delays nothing in the other.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::renewal::advice::RenewalAdvice;

/// When a live domain is looked after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upkeep {
    /// When its DNS is looked at.
    pub dns_at: Timestamp,
    /// What the CA said of the certificate that is served, and when it is asked again.
    pub advice: RenewalAdvice,
}

/// One thing to do for a live domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Look whether it still points at us.
    LookAtDns,
    /// Ask the CA when to renew.
    AskWhenToRenew,
}

impl Upkeep {
    /// When there is something to do.
    pub fn next_at(&self) -> Timestamp {
        self.dns_at.min(self.advice.ask_at)
    }

    /// What to do now: one thing, the other comes right after it if it is due too.
    pub fn care(&self, now: Timestamp) -> Care {
        if self.advice.ask_at <= now && self.dns_at > now {
            Care::AskWhenToRenew
        } else {
            Care::LookAtDns
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_moment() {
        let at = Timestamp::from_unix_seconds;
        let mut upkeep = Upkeep {
            dns_at: at(100),
            advice: RenewalAdvice::after_deployment(at(50), at(60), 0.0),
        };
        assert_eq!(upkeep.next_at(), at(50));
        assert_eq!(upkeep.care(at(50)), Care::AskWhenToRenew);
        assert_eq!(upkeep.care(at(100)), Care::LookAtDns);
        upkeep.dns_at = at(200);
        assert_eq!(
            upkeep.care(at(100)),
            Care::AskWhenToRenew,
            "neither waits for ever"
        );
    }
}
