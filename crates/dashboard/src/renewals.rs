//! Certificates by their end: will anything expire?

use askama::Template;
use dps_admin_api::{Domains, Queue};
use dps_domain::Timestamp;

use crate::page::{Page, grouped};

const DAY_SECONDS: i64 = 86_400;
/// Grades of colour for a day with renewals.
const GRADES: u64 = 4;
/// Longer queues are counted as this long.
const MOST_COUNTED: u32 = 10_000;

/// The number of certificates that end within a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingDay {
    /// The time, as the filter of the list writes it.
    pub within: &'static str,
    /// Certificates.
    pub domains: u64,
    /// Whether there are more than were counted.
    pub is_least: bool,
}

/// The state of the served certificates, as they were last read one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// When the last of them was read.
    pub at: Timestamp,
    /// Certificates whose renewal is under way.
    pub renewing: u64,
    /// Renewals by the day on which they begin, the first today; the last place counts later ones.
    pub ahead: Vec<u64>,
    /// Certificates with renewal information of the last twelve hours.
    pub fresh: u64,
    /// Certificates with older renewal information.
    pub stale: u64,
    /// Of both, those whose poll is overdue.
    pub overdue: u64,
    /// Certificates with a tenth of their lifetime left or less.
    pub late: u64,
    /// Such certificates that wait for their customers.
    pub late_for_customers: u64,
    /// Certificates with a fifth of their lifetime left whose renewal is paused.
    pub late_paused: u64,
}

/// A day of the strip.
struct Day {
    name: String,
    renewals: String,
    grade: u64,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "renewals.html")]
pub struct Renewals {
    /// The frame.
    pub page: Page,
    /// Certificates that end soon, by time.
    pub ending: Vec<EndingDay>,
    /// The domains whose certificates end first.
    pub soonest: Domains,
    /// The survey; `None` before the first.
    pub survey: Option<Surveyed>,
    /// The lane of urgent renewals.
    pub urgent: Queue,
}

/// A number beside its name.
struct Tile {
    name: &'static str,
    number: String,
    is_bad: bool,
}

impl Renewals {
    #[expect(clippy::unused_self, reason = "templates call methods of the view")]
    fn days(&self, survey: &Surveyed) -> Vec<Day> {
        let Some((_, days)) = survey.ahead.split_last() else {
            return Vec::new();
        };
        let most = days.iter().copied().max().unwrap_or_default().max(1);
        let day = |(place, renewals): (i64, &u64)| {
            let at = survey.at.unix_seconds() + place * DAY_SECONDS;
            let date = Timestamp::from_unix_seconds(at).to_string();
            Day {
                name: date.get(5..10).unwrap_or_default().to_owned(),
                renewals: grouped(*renewals),
                grade: (renewals * GRADES).div_ceil(most),
            }
        };
        (0..).zip(days).map(day).collect()
    }

    #[expect(clippy::unused_self, reason = "templates call methods of the view")]
    fn later(&self, survey: &Surveyed) -> String {
        grouped(survey.ahead.last().copied().unwrap_or_default())
    }

    fn tiles(&self) -> Vec<Tile> {
        let t = self.page.t();
        let more = if self.urgent.domains >= MOST_COUNTED {
            "+"
        } else {
            ""
        };
        let urgent = Tile {
            name: t.urgent_lane,
            number: format!("{}{more}", grouped(u64::from(self.urgent.domains))),
            is_bad: self.urgent.domains > 0,
        };
        let counted = |name, number: u64, is_bad| Tile {
            name,
            number: grouped(number),
            is_bad: is_bad && number > 0,
        };
        let of_survey = self.survey.iter().flat_map(|survey| {
            [
                counted(t.renewing, survey.renewing, false),
                counted(t.renewals_late, survey.late, true),
                counted(t.renewals_late_paused, survey.late_paused, true),
                counted(t.renewals_late_customers, survey.late_for_customers, false),
                Tile {
                    name: t.info_fresh,
                    number: share(survey.fresh, survey.fresh + survey.stale),
                    is_bad: survey.overdue > 0,
                },
                counted(t.info_overdue, survey.overdue, true),
            ]
        });
        std::iter::once(urgent).chain(of_survey).collect()
    }
}

/// A share in percent, rounded down; a dash of nothing.
fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(all);
    format!("{}.{}\u{a0}%", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(share(0, 0), "–");
        assert_eq!(share(999_999, 1_000_000), "99.9\u{a0}%");
        assert_eq!(share(7, 7), "100.0\u{a0}%");
    }
}
