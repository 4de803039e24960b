use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn window(from: u32, until: u32) -> FreezeWindow {
    FreezeWindow {
        from: START + DAY * from,
        until: START + DAY * until,
        reason: None,
    }
}

fn freeze(windows: Vec<FreezeWindow>) -> RenewalFreeze {
    RenewalFreeze::new(windows).unwrap()
}

#[test]
fn windows_are_in_order_apart_and_of_a_bounded_length_and_number() {
    let fault = |windows| RenewalFreeze::new(windows).unwrap_err();
    let inverted = fault(vec![window(0, 1), window(3, 2)]);
    assert_eq!(inverted.window(), Some(1));
    assert!(inverted.to_string().contains("Until must be after From"));
    assert_eq!(fault(vec![window(1, 1)]).window(), Some(0));
    let long = fault(vec![window(0, 32)]);
    assert!(long.to_string().starts_with("lasts 32 days"), "{long}");
    assert!(RenewalFreeze::new(vec![window(0, 31)]).is_ok());
    let overlap = fault(vec![window(5, 7), window(0, 6)]);
    assert_eq!(overlap.window(), Some(0));
    assert!(overlap.to_string().contains(&START.to_string()));
    let reason = Some("x".repeat(MAX_REASON + 1));
    let wordy = fault(vec![FreezeWindow {
        reason,
        ..window(0, 1)
    }]);
    assert!(wordy.to_string().contains("shorten it"), "{wordy}");
    let many = |count| {
        (0..count)
            .map(|day| window(day, day + 1))
            .collect::<Vec<_>>()
    };
    assert_eq!(fault(many(53)).window(), None);
    assert!(RenewalFreeze::new(many(52)).is_ok());
}

#[test]
fn a_window_is_in_force_from_its_first_moment_until_its_end() {
    let freeze = freeze(vec![window(5, 7), window(1, 2)]);
    let second = Duration::from_secs(1);
    for (at, expected) in [
        (START, None),
        (START + DAY, Some(2)),
        (START + DAY * 2 - second, Some(2)),
        (START + DAY * 2, None),
        (START + DAY * 5, Some(7)),
    ] {
        let until = freeze.at(at).map(|window| window.until);
        assert_eq!(until, expected.map(|day: u32| START + DAY * day), "{at}");
    }
}

/// The delayed beginning of a renewal that is urgent in the last 20 hours of its certificate.
fn delayed(
    freeze: &RenewalFreeze,
    renew_at: Timestamp,
    urgent_from: Timestamp,
) -> Option<Timestamp> {
    let renewal = PlannedRenewal {
        renew_at,
        urgent_from,
        not_after: urgent_from + HOUR * 20,
    };
    let frozen = freeze.delays(renewal, renew_at);
    frozen.map(|frozen| frozen.begins_at)
}

#[test]
fn a_renewal_that_can_wait_begins_after_the_window_and_an_urgent_one_at_once() {
    let freeze = freeze(vec![window(0, 4)]);
    // Due on the second day, with time for weeks: half a day after the end.
    let due = START + DAY;
    let after = START + DAY * 4 + HOUR * 12;
    assert_eq!(delayed(&freeze, due, due + DAY * 20), Some(after));
    // It would be urgent before the end of the window.
    let before = due + HOUR * 19;
    assert_eq!(delayed(&freeze, due, due + HOUR * 20), Some(before));
    assert_eq!(delayed(&freeze, before, due + HOUR * 20), None);
    assert_eq!(delayed(&freeze, due, due), None);
    let end = START + DAY * 4;
    assert_eq!(delayed(&freeze, end, end + DAY * 20), None);
}

#[test]
fn what_a_window_held_back_is_spread_over_half_of_its_length() {
    let freeze = freeze(vec![window(0, 20)]);
    let begins = (0..200_u32).map(|number| {
        let renew_at = START + DAY / 10 * number;
        let begins_at = delayed(&freeze, renew_at, renew_at + DAY * 10 + HOUR);
        begins_at.unwrap().since(START)
    });
    let after: Vec<Duration> = begins.filter(|begins| *begins > DAY * 20).collect();
    // The last 10 of 20 days were held back, and are made up for in 5 days.
    assert_eq!(after.len(), 99);
    for day in 20..25 {
        let on_day = after.iter();
        let on_day = on_day.filter(|begins| begins.as_secs() / DAY.as_secs() == day);
        assert!((19..=20).contains(&on_day.count()), "day {day}");
    }
}

proptest! {
    #[test]
    fn no_renewal_is_delayed_until_it_is_urgent_nor_twice_by_a_window(
        windows in prop::collection::vec((0..40_u64, 1..744_u64), 1..8),
        lifetime in 1..200_u32, age in 0..100_u32, late in 0..200_u32,
    ) {
        let mut from = START;
        let mut all = Vec::new();
        for (gap, hours) in windows {
            from = from + Duration::from_secs(gap * 86_400);
            let until = from + Duration::from_secs(hours * 3_600);
            all.push(FreezeWindow { from, until, reason: None });
            from = until;
        }
        let most = all.len();
        let freeze = freeze(all);
        let lifetime = DAY * lifetime;
        let not_after = START + lifetime;
        let first_at = START + lifetime / 100 * age;
        let urgent_from = first_at.max(not_after - lifetime / 10);
        let mut renewal = PlannedRenewal { renew_at: first_at, urgent_from, not_after };
        let mut now = first_at + HOUR * late;
        let mut delays = 0;
        // As the service does: the moment is stored, and asked about again when it has come.
        while let Some(frozen) = freeze.delays(renewal, now) {
            let begins_at = frozen.begins_at;
            prop_assert!(begins_at > now, "{begins_at} is not after {now}");
            prop_assert!(begins_at < urgent_from, "{begins_at} is urgent at {urgent_from}");
            (renewal.renew_at, now) = (begins_at, begins_at);
            delays += 1;
            prop_assert!(delays <= most, "a window delays it twice");
        }
        // It begins in a window only if it must.
        let margin = lifetime / 200;
        prop_assert!(freeze.at(now).is_none() || now + margin >= urgent_from);
    }
}
