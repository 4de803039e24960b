//! The state of all served certificates, read page by page: the share of their lifetime that is
//! left, and the age of their renewal information.

use std::time::Duration;

use dps_domain::fleet::DomainFilter;
use dps_domain::{DomainId, FailureCode, Status, Timestamp};

use crate::operator::fleet;
use crate::ports::CertificateStore;
use crate::ports::store::{Served, StoreError};

/// Certificates that are read at once. It takes some tens of milliseconds.
const PAGE: u32 = 5_000;
/// Upper bounds of the buckets for the share of a lifetime that is left.
pub const SHARES: [f64; 10] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0];
/// A certificate with no greater share of its lifetime left is late to be renewed.
const LATE: f64 = 0.1;
/// A certificate with no greater share of its lifetime left is late if its renewal is paused. The
/// bound is early, since a person must act first.
const PAUSED_LATE: f64 = 0.2;
/// Age up to which renewal information is fresh. A CA is polled several times in this time.
const FRESH: Duration = Duration::from_secs(12 * 3_600);
/// A poll that has been due for longer is overdue. Many are due at once after an outage.
const OVERDUE: Duration = Duration::from_secs(3_600);

/// The certificates of domains that point at us. Those whose domains wait for their customers are
/// counted apart, and only once little of their lifetime is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Certificates by the share of their lifetime that is left. Each bucket ends at one of
    /// [`SHARES`] and begins above the one before; the last has no end.
    pub by_share: [u64; SHARES.len() + 1],
    /// Certificates with at most a tenth of their lifetime left that wait for their customers.
    pub late_for_customers: u64,
    /// Certificates with at most a fifth of their lifetime left, or none, whose renewal is paused.
    pub late_paused: u64,
    /// The sum of the shares in `by_share`.
    pub sum_of_shares: f64,
    /// Certificates with renewal information of the last twelve hours.
    pub fresh: u64,
    /// Certificates with older renewal information, or for which every poll failed.
    pub stale: u64,
    /// Of both, those whose next poll is overdue, and stale ones whose last poll failed.
    pub overdue: u64,
    /// When the last page was read.
    pub ended_at: Timestamp,
}

impl Default for Survey {
    fn default() -> Self {
        Self {
            by_share: [0; SHARES.len() + 1],
            late_for_customers: 0,
            late_paused: 0,
            sum_of_shares: 0.0,
            fresh: 0,
            stale: 0,
            overdue: 0,
            ended_at: Timestamp::EPOCH,
        }
    }
}

impl Survey {
    /// The share of the certificates with renewal information whose information is fresh; `None` if
    /// there are none.
    pub fn fresh_share(&self) -> Option<f64> {
        self.share_of_polled(self.fresh)
    }

    /// The share of the same certificates that are overdue; `None` if there are none.
    pub fn overdue_share(&self) -> Option<f64> {
        self.share_of_polled(self.overdue)
    }

    fn share_of_polled(&self, part: u64) -> Option<f64> {
        let all = self.fresh + self.stale;
        (all > 0).then(|| ratio(part, all))
    }

    fn add(&mut self, served: &Served, now: Timestamp) {
        let share = share_left(served.validity, now);
        if served.waits_for_customer {
            self.late_for_customers += u64::from(share <= LATE);
            return;
        }
        self.late_paused += u64::from(served.is_paused && share <= PAUSED_LATE);
        let place = SHARES.partition_point(|bound| *bound < share);
        self.by_share[place] += 1;
        self.sum_of_shares += share;
        let is_fresh = match served.renewal_info_at {
            Some(at) => now.since(at) < FRESH,
            None if served.failed_polls > 0 => false,
            // A CA that offers none, or a certificate that was not polled for yet.
            None => return,
        };
        self.fresh += u64::from(is_fresh);
        self.stale += u64::from(!is_fresh);
        // By its own time: a CA may ask to be polled once a day.
        let is_overdue = served.poll_at.is_some_and(|at| now.since(at) > OVERDUE);
        // After an outage of the CA the next polls, which are hours away, may succeed.
        let keeps_failing = served.failed_polls > 0 && !is_fresh;
        self.overdue += u64::from(is_overdue || keeps_failing);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all as f64
}

/// The share of its lifetime that is left to a certificate, from 0 to 1.
fn share_left((from, until): (Timestamp, Timestamp), now: Timestamp) -> f64 {
    let lifetime = until.since(from).as_secs_f64();
    let left = until.since(now).as_secs_f64();
    if lifetime > 0.0 {
        (left / lifetime).min(1.0)
    } else {
        0.0
    }
}

/// A walk over all served certificates, one page at a time.
#[derive(Debug, Default)]
pub struct Surveyor {
    after: Option<DomainId>,
    survey: Survey,
}

impl Surveyor {
    /// Reads a page; returns the survey when no more follow. The next page is then the first.
    pub async fn advance(
        &mut self,
        store: &dyn CertificateStore,
        now: Timestamp,
    ) -> Result<Option<Survey>, StoreError> {
        loop {
            let page = store.served(self.after, PAGE).await?;
            for served in &page {
                self.survey.add(served, now);
            }
            self.after = page.last().map(|served| served.domain_id);
            if page.len() >= PAGE as usize {
                return Ok(None);
            }
            // A page that is not full may lack rows that cannot be read, and others follow.
            if self.after.is_none() {
                break;
            }
        }
        let mut survey = std::mem::take(&mut self.survey);
        survey.ended_at = now;
        survey.late_paused += ended_while_paused(store, now).await?;
        Ok(Some(survey))
    }
}

/// Domains whose certificate ended while its renewal waited for the end of a pause. No edge serves
/// it any longer, so no page has it.
async fn ended_while_paused(
    store: &dyn CertificateStore,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let filter = DomainFilter {
        status: Some(Status::Failed),
        code: Some(FailureCode::IssuancePaused),
        ..DomainFilter::default()
    };
    let counted = fleet::count(store, &filter, now, false).await?;
    Ok(counted.states.iter().map(|count| count.domains).sum())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn served(hours_left: u32, info: Option<u32>, failed_polls: u32) -> Served {
        Served {
            domain_id: DomainId::from_uuid(Uuid::nil()),
            waits_for_customer: false,
            is_paused: false,
            validity: (
                NOW + hours_left * HOUR - 100 * HOUR,
                NOW + hours_left * HOUR,
            ),
            renewal_info_at: info.map(|hours| NOW - hours * HOUR),
            poll_at: None,
            failed_polls,
        }
    }

    #[test]
    fn a_certificate_is_counted_by_the_share_that_is_left_and_one_that_ended_as_nothing() {
        let mut survey = Survey::default();
        for (hours_left, place) in [(0, 0), (1, 1), (5, 1), (10, 2), (11, 3), (60, 8), (100, 9)] {
            let before = survey.by_share[place];
            survey.add(&served(hours_left, None, 0), NOW);
            assert_eq!(survey.by_share[place], before + 1, "{hours_left}");
        }
        let mut ended = served(0, None, 0);
        ended.validity = (NOW - 100 * HOUR, NOW - HOUR);
        survey.add(&ended, NOW);
        assert_eq!(survey.by_share[0], 2);
        assert!((survey.sum_of_shares - 1.87).abs() < 1e-9, "{survey:?}");
        assert_eq!(survey.fresh_share(), None);
    }

    #[test]
    fn a_certificate_that_waits_for_its_customer_is_counted_apart_once_it_is_late() {
        let mut survey = Survey::default();
        for (hours_left, late) in [(60, 0), (11, 0), (10, 1), (0, 2)] {
            let waits_for_customer = true;
            let waiting = Served {
                waits_for_customer,
                ..served(hours_left, Some(20), 0)
            };
            survey.add(&waiting, NOW);
            assert_eq!(survey.late_for_customers, late, "{hours_left}");
        }
        assert_eq!(survey.by_share.iter().sum::<u64>(), 0);
        assert_eq!(survey.fresh_share(), None);
    }

    #[test]
    fn a_paused_renewal_is_late_while_a_fifth_of_the_lifetime_is_left() {
        let mut survey = Survey::default();
        for (hours_left, late) in [(60, 0), (21, 0), (20, 1), (0, 2)] {
            let paused = Served {
                is_paused: true,
                ..served(hours_left, None, 0)
            };
            survey.add(&paused, NOW);
            assert_eq!(survey.late_paused, late, "{hours_left}");
        }
        assert_eq!(survey.by_share.iter().sum::<u64>(), 4);
    }

    #[test]
    fn renewal_information_is_overdue_by_the_time_of_its_own_poll() {
        let mut survey = Survey::default();
        let in_ten_hours = NOW + 10 * HOUR;
        for (info, poll_at, failed_polls, overdue) in [
            (Some(14), in_ten_hours, 0, 0),
            (Some(24), NOW - HOUR, 0, 0),
            (Some(25), NOW - 2 * HOUR, 0, 1),
            (Some(1), in_ten_hours, 1, 1),
            (Some(13), in_ten_hours, 1, 2),
            (None, in_ten_hours, 1, 3),
            // The CA offers none.
            (None, NOW - 2 * HOUR, 0, 3),
        ] {
            let poll_at = Some(poll_at);
            let polled = Served {
                poll_at,
                ..served(50, info, failed_polls)
            };
            survey.add(&polled, NOW);
            assert_eq!(survey.overdue, overdue, "{polled:?}");
        }
        assert_eq!(survey.overdue_share(), Some(0.5));
        assert_eq!(Survey::default().overdue_share(), None);
    }

    #[test]
    fn renewal_information_is_fresh_for_half_a_day_and_failed_polls_are_stale() {
        let mut survey = Survey::default();
        for (info, failed_polls) in [(Some(1), 0), (Some(11), 3), (Some(12), 0), (None, 1)] {
            survey.add(&served(50, info, failed_polls), NOW);
        }
        survey.add(&served(50, None, 0), NOW);
        assert_eq!((survey.fresh, survey.stale), (2, 2));
        assert_eq!(survey.fresh_share(), Some(0.5));
    }
}
