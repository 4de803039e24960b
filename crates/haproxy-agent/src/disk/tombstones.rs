//! Which hostnames were removed, and as of which generation, so that an apply that comes late does
//! not bring one back.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use dps_domain::{Hostname, Timestamp};

use super::{Disk, DiskError};

/// How long a removal is remembered: longer than any retry of the service.
const KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);
/// Removals remembered at most; the oldest are forgotten first.
const CAPACITY: usize = 100_000;

/// A removed hostname's last generation, and when it was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub(crate) generation: u64,
    pub(crate) removed_at: Timestamp,
}

/// The removals of the last days.
pub(crate) type Tombstones = BTreeMap<Hostname, Tombstone>;

impl Disk {
    /// Reads `removed.txt`: a line `hostname generation unix-seconds` each. A line that cannot be
    /// read is passed over.
    pub(crate) fn tombstones(&self, now: Timestamp) -> Tombstones {
        let text = fs::read_to_string(self.root.join("removed.txt")).unwrap_or_default();
        let mut tombstones = text.lines().filter_map(parse).collect();
        prune(&mut tombstones, now);
        tombstones
    }

    /// Replaces `removed.txt`.
    pub(crate) fn write_tombstones(&self, tombstones: &Tombstones) -> Result<(), DiskError> {
        let mut text = String::new();
        for (hostname, tombstone) in tombstones {
            let (generation, seconds) = (tombstone.generation, tombstone.removed_at.unix_seconds());
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{hostname} {generation} {seconds}");
        }
        self.replace(&self.root.join("removed.txt"), text.as_bytes())
    }
}

/// Forgets removals that are old, and the oldest of those that are too many.
pub(crate) fn prune(tombstones: &mut Tombstones, now: Timestamp) {
    tombstones.retain(|_, tombstone| now.since(tombstone.removed_at) < KEPT_FOR);
    if tombstones.len() > CAPACITY {
        let mut times: Vec<_> = tombstones
            .values()
            .map(|tombstone| tombstone.removed_at)
            .collect();
        times.sort();
        let oldest_kept = times[times.len() - CAPACITY];
        tombstones.retain(|_, tombstone| tombstone.removed_at >= oldest_kept);
    }
}

fn parse(line: &str) -> Option<(Hostname, Tombstone)> {
    let mut fields = line.split(' ');
    let hostname = Hostname::parse(fields.next()?).ok()?;
    let tombstone = Tombstone {
        generation: fields.next()?.parse().ok()?,
        removed_at: Timestamp::from_unix_seconds(fields.next()?.parse().ok()?),
    };
    Some((hostname, tombstone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_are_forgotten_by_age_and_by_number() {
        let at = |seconds: usize| Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap());
        let mut tombstones: Tombstones = (0..CAPACITY + 10)
            .map(|n| {
                let tombstone = Tombstone {
                    generation: 1,
                    removed_at: at(n),
                };
                (
                    Hostname::parse(&format!("h{n}.example")).unwrap(),
                    tombstone,
                )
            })
            .collect();
        prune(&mut tombstones, at(CAPACITY));
        assert_eq!(tombstones.len(), CAPACITY);
        assert!(!tombstones.contains_key(&Hostname::parse("h9.example").unwrap()));
        prune(&mut tombstones, at(20) + KEPT_FOR);
        assert_eq!(tombstones.len(), CAPACITY - 11);
        assert_eq!(parse("shop.example 7 nonsense"), None);
    }
}
