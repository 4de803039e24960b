//! How fast the Cabinet is called, and when its feed or a list of its goes round in circles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Shortest time between two calls for a feed that says nothing new.
const IDLE_FLOOR: Duration = Duration::from_secs(1);
/// Shortest time between two calls for pages that hold domains, all of them known.
const KNOWN_FLOOR: Duration = Duration::from_millis(100);
/// Pause between two pages of a list.
pub(crate) const LIST_PAUSE: Duration = Duration::from_millis(10);
/// A list of more pages has no end.
const MAX_PAGES: u32 = 100_000;

/// Notices a cursor that comes back, in constant space (Brent's algorithm).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorTrail {
    mark: Option<String>,
    since_mark: u32,
    next_mark: u32,
    pages: u32,
}

impl CursorTrail {
    /// The next page begins at `cursor`. Returns whether the pages go round, or have no end.
    pub(crate) fn goes_round(&mut self, cursor: &str) -> bool {
        self.pages = self.pages.saturating_add(1);
        if self.mark.as_deref() == Some(cursor) || self.pages >= MAX_PAGES {
            return true;
        }
        self.since_mark += 1;
        if self.since_mark >= self.next_mark {
            self.mark = Some(cursor.to_owned());
            self.next_mark = self.next_mark.saturating_mul(2).max(1);
            self.since_mark = 0;
        }
        false
    }
}

/// A page of the feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedPage<'a> {
    /// Where the next page begins.
    pub(crate) next: &'a str,
    /// Whether there are items on it.
    pub(crate) has_items: bool,
    /// Whether they said anything that was not known.
    pub(crate) is_news: bool,
    /// Time between request and answer.
    pub(crate) took: Duration,
}

/// The next call after a page of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Pause before the next call.
    pub(crate) pause: Duration,
    /// Whether the feed goes round in circles.
    pub(crate) goes_round: bool,
}

/// Paces the calls for the feed.
#[derive(Debug, Default)]
pub(crate) struct FeedPace {
    trail: CursorTrail,
    goes_round: bool,
}

impl FeedPace {
    /// Judges a page.
    pub(crate) fn after(&mut self, page: FeedPage<'_>) -> Pace {
        if !page.has_items {
            // Read to its end: the same cursor is right until something changes.
            *self = Self::default();
        } else if self.trail.goes_round(page.next) {
            self.trail = CursorTrail::default();
            self.goes_round = true;
        }
        let floor = match page {
            _ if self.goes_round => IDLE_FLOOR,
            FeedPage {
                has_items: false, ..
            } => IDLE_FLOOR,
            FeedPage { is_news: false, .. } => KNOWN_FLOOR,
            FeedPage { .. } => Duration::ZERO,
        };
        Pace {
            pause: floor.saturating_sub(page.took),
            goes_round: self.goes_round,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next: &str, has_items: bool, is_news: bool) -> FeedPage<'_> {
        FeedPage {
            next,
            has_items,
            is_news,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_circle_of_cursors_of_any_length_is_noticed_and_a_long_list_is_none() {
        for length in [1, 2, 3, 10, 1_000] {
            let mut trail = CursorTrail::default();
            let noticed =
                (0..10 * length + 10).find(|page| trail.goes_round(&(page % length).to_string()));
            assert!(noticed.is_some(), "{length}");
        }
        let mut trail = CursorTrail::default();
        assert!((0..50_000).all(|page| !trail.goes_round(&page.to_string())));
        assert!(
            (50_000..200_000).any(|page| trail.goes_round(&page.to_string())),
            "endless"
        );
    }

    #[test]
    fn a_feed_with_news_is_read_without_a_pause_and_one_without_is_not() {
        let mut pace = FeedPace::default();
        for number in 0..1_000 {
            let after = pace.after(page(&number.to_string(), true, true));
            assert_eq!(after.pause, Duration::ZERO);
        }
        assert_eq!(pace.after(page("1000", true, false)).pause, KNOWN_FLOOR);
        for _ in 0..3 {
            let after = pace.after(page("1000", false, false));
            assert_eq!((after.pause, after.goes_round), (IDLE_FLOOR, false));
        }
        let held = FeedPage {
            took: Duration::from_secs(25),
            ..page("1000", false, false)
        };
        assert_eq!(
            pace.after(held).pause,
            Duration::ZERO,
            "the feed itself waited"
        );
    }

    #[test]
    fn a_feed_that_repeats_itself_is_logged_and_slowed_until_it_ends() {
        for length in [1, 2, 7] {
            let mut pace = FeedPace::default();
            // Items that are news each time do not make it a feed with progress.
            let paces = (0..1_000)
                .map(|number| pace.after(page(&(number % length).to_string(), true, true)));
            let last = paces.last().unwrap();
            assert_eq!(
                (last.pause, last.goes_round),
                (IDLE_FLOOR, true),
                "{length}"
            );
            let end = pace.after(page("x", false, false));
            assert!(!end.goes_round, "{length}");
        }
    }
}
