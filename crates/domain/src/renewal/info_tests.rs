use proptest::prelude::*;

use super::super::renewal_moment;
use super::*;

const ISSUED: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
/// The lifetimes in use today and soon.
const LIFETIMES: [Duration; 4] = [
    Duration::from_secs(160 * 3600),
    Duration::from_secs(45 * 86_400),
    Duration::from_secs(64 * 86_400),
    Duration::from_secs(90 * 86_400),
];

fn window(start: Timestamp, end: Timestamp) -> SuggestedWindow {
    SuggestedWindow::new(start, end).unwrap()
}

/// As Let's Encrypt suggests: a fiftieth of the lifetime wide, around two thirds of it, or half of
/// it under ten days.
fn usual_window(lifetime: Duration) -> SuggestedWindow {
    let middle = if lifetime < 10 * DAY {
        ISSUED + lifetime / 2
    } else {
        ISSUED + lifetime * 2 / 3
    };
    window(middle - lifetime / 100, middle + lifetime / 100)
}

#[test]
fn the_usual_window_of_each_lifetime_in_use_is_kept_to() {
    for lifetime in LIFETIMES {
        let (usual, validity) = (usual_window(lifetime), (ISSUED, ISSUED + lifetime));
        for random in [0.0, 0.3, 0.999_999_9] {
            let plan = plan(validity, usual, ISSUED + lifetime / 10, random);
            assert!(
                usual.contains(plan.renew_at),
                "{lifetime:?} {random} {}",
                plan.renew_at
            );
            assert!(!plan.is_urgent());
        }
    }
}

#[test]
fn a_window_that_is_over_means_now_and_before_others() {
    for lifetime in LIFETIMES {
        let now = ISSUED + lifetime / 3;
        let over = window(now - HOUR, now - HOUR / 2);
        let plan = plan((ISSUED, ISSUED + lifetime), over, now, 0.7);
        assert_eq!((plan.renew_at, plan.is_urgent()), (now, true));
    }
}

#[test]
fn the_end_of_a_window_does_not_belong_to_it() {
    let one_hour = window(ISSUED, ISSUED + HOUR);
    assert!(one_hour.contains(ISSUED));
    assert!(!one_hour.contains(ISSUED + HOUR));
    assert!(one_hour.is_past(ISSUED + HOUR));
}

#[test]
fn a_ca_that_wants_every_certificate_replaced_gets_one_order_a_day_at_most() {
    let now = ISSUED + HOUR;
    let over = window(ISSUED - HOUR, ISSUED);
    for (lifetime, age) in [(LIFETIMES[3], DAY), (LIFETIMES[0], 8 * HOUR)] {
        let plan = plan((ISSUED, ISSUED + lifetime), over, now, 0.5);
        assert_eq!((plan.renew_at, plan.is_urgent()), (ISSUED + age, true));
    }
}

#[test]
fn a_window_too_late_to_be_safe_is_not_waited_for() {
    for lifetime in LIFETIMES {
        let (start, end) = (ISSUED, ISSUED + lifetime);
        let late = window(end - HOUR, end + HOUR);
        let plan = plan((start, end), late, ISSUED + DAY, 0.5);
        assert!(plan.renew_at < latest_renewal_moment(start, end));
        assert!(plan.renew_at > renewal_deadline(start, end));
    }
}

#[test]
fn the_next_poll_is_when_the_ca_says_within_a_minute_and_a_day() {
    let at = |seconds| ISSUED + Duration::from_secs(seconds);
    assert_eq!(poll_again_at(Some(at(21_600)), ISSUED), at(21_600));
    assert_eq!(poll_again_at(Some(at(1)), ISSUED), at(60));
    assert_eq!(poll_again_at(Some(at(900_000)), ISSUED), at(86_400));
    assert_eq!(poll_again_at(None, ISSUED), at(21_600));
}

#[test]
fn failures_ask_again_with_growing_pauses_and_forget_nothing() {
    let known = RenewalInfo {
        window: Some(window(ISSUED, ISSUED + DAY)),
        explanation_url: Some("https://ca.example/why".into()),
        answered_at: Some(Timestamp::from_unix_seconds(1)),
        poll_at: ISSUED,
        failures: 0,
    };
    let down = RenewalInfoOutcome::Unavailable { until: None };
    let mut info = known.clone();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let now = info.poll_at;
        info = info.after(&down, now, 1.0);
        pauses.push(info.poll_at.since(now).as_secs() / 60);
        assert_eq!(
            (info.window, &info.explanation_url),
            (known.window, &known.explanation_url)
        );
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 360, 360]);
    let throttled = RenewalInfoOutcome::Unavailable {
        until: Some(Until::named(ISSUED + HOUR, ISSUED, Purpose::RenewalInfo)),
    };
    for jitter in [0.0, 1.0] {
        let again = known.after(&throttled, ISSUED, jitter).poll_at;
        assert!(
            again >= ISSUED + HOUR && again <= ISSUED + 2 * HOUR,
            "{again}"
        );
    }
    let throttled_long = RenewalInfo {
        failures: 20,
        ..known.clone()
    };
    for jitter in [0.0, 1.0] {
        let again = throttled_long.after(&throttled, ISSUED, jitter).poll_at;
        assert!(
            again >= ISSUED + 4 * HOUR && again <= ISSUED + USUAL,
            "{again}"
        );
    }
    let refused = known.after(&RenewalInfoOutcome::Refused, ISSUED, 1.0);
    assert_eq!(refused.poll_at, ISSUED + USUAL);
    let gone = info.after(&RenewalInfoOutcome::NotOffered, ISSUED, 1.0);
    assert_eq!(
        (gone.window, gone.failures, gone.poll_at),
        (None, 0, ISSUED + DAY)
    );
}

#[test]
fn a_moment_is_kept_until_the_window_changes() {
    let validity = (ISSUED, ISSUED + 90 * DAY);
    let unknown = RenewalInfo::after_deployment(ISSUED, validity.1, 0.5);
    let first = RenewalInfo {
        window: Some(window(ISSUED + 50 * DAY, ISSUED + 52 * DAY)),
        ..unknown.clone()
    };
    let moved = RenewalInfo {
        window: Some(window(ISSUED + 20 * DAY, ISSUED + 22 * DAY)),
        ..unknown.clone()
    };
    let at = |before: &RenewalInfo, after: &RenewalInfo| {
        let plan = before.replan(after, validity, ISSUED + 5 * DAY, 0.5);
        plan.map(|plan| plan.renew_at)
    };
    assert_eq!(at(&unknown, &unknown), None);
    assert_eq!(at(&unknown, &first), Some(ISSUED + 51 * DAY));
    assert_eq!(at(&first, &first), None);
    assert_eq!(at(&first, &moved), Some(ISSUED + 21 * DAY));
    assert_eq!(
        at(&moved, &unknown),
        Some(renewal_moment(validity.0, validity.1, 0.5))
    );
}

#[test]
fn an_order_is_exempt_inside_the_window_alone() {
    let info = RenewalInfo {
        window: Some(window(ISSUED, ISSUED + HOUR)),
        ..RenewalInfo::after_deployment(ISSUED, ISSUED + 90 * DAY, 0.0)
    };
    assert!(info.exempts(ISSUED));
    assert!(!info.exempts(ISSUED + HOUR));
    assert!(
        !RenewalInfo {
            window: None,
            ..info
        }
        .exempts(ISSUED)
    );
}

#[test]
fn a_window_ends_after_it_starts() {
    assert_eq!(SuggestedWindow::new(ISSUED, ISSUED), Err(EmptyWindow));
    assert_eq!(
        SuggestedWindow::new(ISSUED + HOUR, ISSUED),
        Err(EmptyWindow)
    );
}

prop_compose! {
    /// A certificate of an hour to three years, a moment of its life, and any window around that.
    fn any_case()(
        lifetime in 3_600u64..95_000_000,
        lived in 0.0f64..1.0,
        start in -200_000_000i64..200_000_000,
        width in 1u64..200_000_000,
    ) -> (Duration, Timestamp, SuggestedWindow) {
        let lifetime = Duration::from_secs(lifetime);
        let start = Timestamp::from_unix_seconds(ISSUED.unix_seconds() + start);
        (lifetime, ISSUED + lifetime.mul_f64(lived), window(start, start + Duration::from_secs(width)))
    }
}

proptest! {
    #[test]
    fn no_window_costs_a_certificate_or_makes_one_order_at_once(
        (lifetime, now, window) in any_case(), random in 0.0f64..1.0
    ) {
        let (start, end) = (ISSUED, ISSUED + lifetime);
        let latest = latest_renewal_moment(start, end);
        let plan = plan((start, end), window, now, random);
        prop_assert!(plan.renew_at <= latest.max(now));
        prop_assert!(plan.renew_at >= start + EARLIEST_AGE.min(lifetime / 20));
        prop_assert!(latest < end - lifetime / 10, "an ordinary renewal begins before it is urgent");
        prop_assert!(plan.is_urgent() || window.end() > now);
        prop_assert!(plan.urgent_from >= plan.renew_at && plan.urgent_from < end.max(now));
    }

    #[test]
    fn what_can_be_done_inside_the_window_is_done_inside_it(
        (lifetime, now, window) in any_case(), random in 0.0f64..1.0
    ) {
        let (start, end) = (ISSUED, ISSUED + lifetime);
        let from = window.start().max(now);
        let possible = window.end() > now
            && from >= start + EARLIEST_AGE.min(lifetime / 20)
            && from < latest_renewal_moment(start, end);
        let plan = plan((start, end), window, now, random);
        if possible {
            prop_assert!(window.contains(plan.renew_at) && plan.renew_at >= now, "{}", plan.renew_at);
        }
    }

    #[test]
    fn the_rule_by_the_dates_is_never_later_than_the_last_moment(hours in 1u64..50_000, random in 0.0f64..1.0) {
        let end = ISSUED + Duration::from_secs(hours * 3600);
        prop_assert!(renewal_moment(ISSUED, end, random) < latest_renewal_moment(ISSUED, end));
    }

    #[test]
    fn domains_that_became_live_together_ask_within_the_hour_but_apart(hours in 1u64..50_000, random in 0.0f64..1.0) {
        let end = ISSUED + Duration::from_secs(hours * 3600);
        let first = RenewalInfo::after_deployment(ISSUED, end, random).poll_at;
        let longest = HOUR.min(end.since(ISSUED) / 20);
        let off = first.since(ISSUED).abs_diff(longest.mul_f64(random));
        prop_assert!(off <= Duration::from_micros(1), "{off:?}");
    }
}
