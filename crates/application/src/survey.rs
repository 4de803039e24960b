//! The state of all served certificates, read page by page.
//!
//! A survey has the share of their lifetime that is left, the age of their renewal information, and
//! their next renewals. It also has the time that first certificates took. The last survey is kept
//! in the store, for those who look at the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_domain::fleet::DomainFilter;
use dps_domain::{DomainId, FailureCode, Status, Timestamp};
use serde::{Deserialize, Serialize};

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
/// Days ahead of which the renewals are counted one by one.
pub const DAYS: usize = 30;
const DAY: Duration = Duration::from_secs(86_400);
/// The cursor that keeps the last survey.
const CURSOR: &str = "fleet.survey";
/// Age up to which renewal information is fresh. A CA is polled several times in this time.
const FRESH: Duration = Duration::from_secs(12 * 3_600);
/// A poll that has been due for longer is overdue. Many are due at once after an outage.
const OVERDUE: Duration = Duration::from_secs(3_600);

/// The certificates of domains that point at us. Those whose domains wait for their customers are
/// counted apart, and only once little of their lifetime is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Survey {
    /// Certificates by the share of their lifetime that is left. Each bucket ends at one of
    /// [`SHARES`] and begins above the one before; the last has no end.
    pub by_share: [u64; SHARES.len() + 1],
    /// Certificates with at most a tenth of their lifetime left that wait for their customers.
    pub late_for_customers: u64,
    /// Certificates with at most a fifth of their lifetime left, or none, whose renewal is paused.
    pub late_paused: u64,
    /// The sum of the shares in `by_share`. It is not kept.
    #[serde(skip)]
    pub sum_of_shares: f64,
    /// Certificates with renewal information of the last twelve hours.
    pub fresh: u64,
    /// Certificates with older renewal information, or for which every poll failed.
    pub stale: u64,
    /// Of both, those whose next poll is overdue, and stale ones whose last poll failed.
    pub overdue: u64,
    /// Certificates whose renewal is under way.
    pub renewing: u64,
    /// Certificates by the day on which their renewal begins, late ones in the first. The last
    /// place counts those after [`DAYS`] days.
    pub renewals_ahead: [u64; DAYS + 1],
    /// Domains that were first served within a day, by the seconds since their intake. The seconds
    /// are rounded up to two digits.
    pub first_served: BTreeMap<u64, u64>,
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
            renewing: 0,
            renewals_ahead: [0; DAYS + 1],
            first_served: BTreeMap::new(),
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

    /// The number of domains that were first served within a day.
    pub fn first_served_count(&self) -> u64 {
        self.first_served.values().sum()
    }

    /// The time from the intake within which so many thousandths of these domains were served;
    /// `None` without any.
    pub fn time_to_active(&self, thousandths: u64) -> Option<Duration> {
        let rank = (self.first_served_count() * thousandths).div_ceil(1_000);
        let mut passed = 0;
        let mut times = self.first_served.iter();
        let found = times.find(|(_, domains)| {
            passed += *domains;
            passed >= rank
        });
        found.map(|(seconds, _)| Duration::from_secs(*seconds))
    }

    fn share_of_polled(&self, part: u64) -> Option<f64> {
        let all = self.fresh + self.stale;
        (all > 0).then(|| ratio(part, all))
    }

    fn add(&mut self, served: &Served, now: Timestamp) {
        match served.renew_at {
            Some(at) => self.renewals_ahead[day(at, now)] += 1,
            None => self.renewing += 1,
        }
        if served.is_first && now.since(served.served_since) < DAY {
            let took = served.served_since.since(served.taken_in_at);
            *self.first_served.entry(rounded(took)).or_default() += 1;
        }
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

/// The place of a renewal among the days ahead.
fn day(at: Timestamp, now: Timestamp) -> usize {
    let days = at.since(now).as_secs() / DAY.as_secs();
    usize::try_from(days).map_or(DAYS, |day| day.min(DAYS))
}

/// A time in seconds, rounded up to two digits, so that there are few different ones.
fn rounded(time: Duration) -> u64 {
    let seconds = time.as_secs();
    let mut unit = 1;
    while seconds / unit >= 100 {
        unit *= 10;
    }
    seconds.div_ceil(unit) * unit
}

/// Keeps a survey in the store, unless another process keeps its own at the same time.
pub async fn keep(store: &dyn CertificateStore, survey: &Survey) -> Result<(), StoreError> {
    let Ok(text) = serde_json::to_string(survey) else {
        return Ok(());
    };
    let before = store.cursor(CURSOR).await?;
    store
        .cursor_advance(CURSOR, before.as_deref(), &text)
        .await?;
    Ok(())
}

/// The survey that was kept last; `None` before the first.
pub async fn kept(store: &dyn CertificateStore) -> Result<Option<Survey>, StoreError> {
    let text = store.cursor(CURSOR).await?;
    // Another version writes it otherwise; the next survey takes its place.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
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
            renew_at: None,
            taken_in_at: NOW,
            served_since: NOW,
            is_first: false,
        }
    }

    #[test]
    fn renewals_are_counted_by_the_day_on_which_they_begin() {
        let mut survey = Survey::default();
        for (hours, place) in [
            (-5, 0),
            (0, 0),
            (23, 0),
            (24, 1),
            (719, 29),
            (720, 30),
            (9_000, 30),
        ] {
            let at = NOW.unix_seconds() + hours * 3_600;
            let renew_at = Some(Timestamp::from_unix_seconds(at));
            let before = survey.renewals_ahead[place];
            survey.add(
                &Served {
                    renew_at,
                    ..served(50, None, 0)
                },
                NOW,
            );
            assert_eq!(survey.renewals_ahead[place], before + 1, "{hours}");
        }
        assert_eq!(survey.renewing, 0);
        survey.add(&served(50, None, 0), NOW);
        assert_eq!(
            (survey.renewing, survey.renewals_ahead.iter().sum()),
            (1, 7)
        );
    }

    #[test]
    fn the_time_to_active_is_that_of_domains_first_served_within_a_day() {
        let mut survey = Survey::default();
        assert_eq!(survey.time_to_active(500), None);
        let first = |took: u32, age: u32| Served {
            is_first: true,
            taken_in_at: NOW - Duration::from_secs(u64::from(age + took)),
            served_since: NOW - Duration::from_secs(u64::from(age)),
            ..served(50, None, 0)
        };
        for took in 1..=98 {
            survey.add(&first(took, 60), NOW);
        }
        survey.add(&first(1_234, 60), NOW);
        survey.add(&first(99_999, 60), NOW);
        survey.add(&first(500_000, 86_400), NOW);
        survey.add(
            &Served {
                is_first: false,
                ..first(500_000, 60)
            },
            NOW,
        );
        assert_eq!(survey.first_served_count(), 100);
        let times = [500, 980, 990, 1_000].map(|share| survey.time_to_active(share));
        assert_eq!(
            times.map(|time| time.unwrap().as_secs()),
            [50, 98, 1_300, 100_000]
        );
        let text = serde_json::to_string(&survey).unwrap();
        survey.sum_of_shares = 0.0;
        assert_eq!(serde_json::from_str::<Survey>(&text).unwrap(), survey);
        assert_eq!(
            serde_json::from_str::<Survey>("{}").unwrap(),
            Survey::default()
        );
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
