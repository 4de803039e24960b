//! Durations as people write them in settings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longer durations are refused: adding one to a timestamp can then never overflow.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// A duration written with a unit (`500ms`, `30s`, `5m`, `6h`, `7d`, `1h30m`) or as a .NET
/// `TimeSpan` (`00:00:30`, `7.00:00:00`). It is written back with the largest units that express it
/// exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(Duration);

/// The text is not a [`HumanDuration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a duration: write it like \"30s\", \"5m\", \"6h\", \"7d\" or \"00:00:30\"{hint}"
)]
pub struct DurationError {
    text: String,
    hint: &'static str,
}

/// The duration is outside what its setting allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is {found}, but must be from {shortest} to {longest}")]
pub struct OutOfBounds {
    found: HumanDuration,
    shortest: HumanDuration,
    longest: HumanDuration,
}

impl HumanDuration {
    /// This many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration for the standard library.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The duration if it lies between the two, both included; else an error that names all three.
    pub fn within(self, shortest: Self, longest: Self) -> Result<Duration, OutOfBounds> {
        if self < shortest || self > longest {
            return Err(OutOfBounds {
                found: self,
                shortest,
                longest,
            });
        }
        Ok(self.0)
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let trimmed = text.trim();
        let fail = |hint| DurationError {
            text: text.to_owned(),
            hint,
        };
        if !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fail(" (a unit is missing)"));
        }
        let parsed = if trimmed.contains(':') {
            time_span(trimmed)
        } else {
            with_units(trimmed)
        };
        match parsed {
            Some(duration) if duration > LONGEST => Err(fail(" (at most 36500d)")),
            Some(duration) => Ok(Self(duration)),
            None => Err(fail("")),
        }
    }
}

/// `30s`, `1h30m`: whole numbers, each with its unit.
fn with_units(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let number: u32 = number.parse().ok()?;
        let one = match unit.to_ascii_lowercase().as_str() {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(86_400),
            _ => return None,
        };
        total = total.checked_add(one.checked_mul(number)?)?;
        rest = tail;
    }
    Some(total)
}

/// `[days.]hours:minutes[:seconds[.fraction]]` with the ranges of .NET: hours to 23, minutes and
/// seconds to 59.
fn time_span(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once(':')?.0.split_once('.') {
        Some((days, _)) => (days, &text[days.len() + 1..]),
        None => ("0", text),
    };
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() {
        return None;
    }
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let days = u64::from(whole(days, 36_500)?);
    let seconds =
        u64::from(whole(hours, 23)? * 3600 + whole(minutes, 59)? * 60 + whole(seconds, 59)?);
    if fraction.len() > 7 {
        return None;
    }
    let hundred_nanos = whole(&format!("{fraction:0<7}"), 9_999_999)?;
    Some(Duration::new(days * 86_400 + seconds, hundred_nanos * 100))
}

fn whole(text: &str, most: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number| *number <= most)
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        let mut rest = millis;
        for (unit, size) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1000),
            ("ms", 1),
        ] {
            let count = rest / size;
            rest %= size;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = HumanDuration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration with its unit, such as \"30s\", \"5m\", \"6h\", \"7d\" or \"00:00:30\"",
                )
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Duration, DurationError> {
        text.parse().map(HumanDuration::get)
    }

    #[test]
    fn durations_with_units_and_dotnet_time_spans_are_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("6h", 21_600_000),
            ("7d", 604_800_000),
            ("7D", 604_800_000),
            ("1h30m", 5_400_000),
            (" 2min ", 120_000),
            ("0s", 0),
            ("00:00:30", 30_000),
            ("01:30", 5_400_000),
            ("7.00:00:00", 604_800_000),
            ("00:00:00.25", 250),
            ("1.02:03:04.5", 93_784_500),
            ("36500d", 3_153_600_000_000),
        ] {
            assert_eq!(
                parse(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in [
            "",
            "abc",
            "-5s",
            "1.5h",
            "5 s",
            "5x",
            "s",
            "24:00:00",
            "00:60",
            "00:00:60",
            "1:2:3:4",
            "::",
            "1.",
            "00:00:00.12345678",
            "99999999999s",
            "36501d",
            "4294967295d",
            "1h-2m",
            "+5s",
            "٣s",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("write it like \"30s\""), "{text}: {error}");
        }
        assert!(
            parse("30")
                .unwrap_err()
                .to_string()
                .contains("a unit is missing")
        );
        assert!(
            parse("36501d")
                .unwrap_err()
                .to_string()
                .contains("at most 36500d")
        );
    }

    #[test]
    fn a_duration_is_written_so_that_it_reads_back_as_itself() {
        for (text, written) in [
            ("90s", "1m30s"),
            ("00:00:30", "30s"),
            ("7.00:00:00", "7d"),
            ("24h", "1d"),
            ("1500ms", "1s500ms"),
            ("0ms", "0s"),
        ] {
            let duration: HumanDuration = text.parse().unwrap();
            let json = serde_json::to_string(&duration).unwrap();
            assert_eq!(json, format!("\"{written}\""));
            assert_eq!(
                serde_json::from_str::<HumanDuration>(&json).unwrap(),
                duration
            );
        }
    }

    #[test]
    fn a_number_without_unit_names_the_expected_form() {
        let error = serde_json::from_str::<HumanDuration>("30")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected a duration with its unit"),
            "{error}"
        );
    }

    #[test]
    fn bounds_name_the_value_and_both_ends() {
        let (shortest, longest) = (HumanDuration::from_secs(1), HumanDuration::from_secs(3600));
        assert_eq!(
            HumanDuration::from_secs(1).within(shortest, longest),
            Ok(Duration::from_secs(1))
        );
        assert_eq!(
            longest.within(shortest, longest),
            Ok(Duration::from_secs(3600))
        );
        let error = HumanDuration::from_secs(7200)
            .within(shortest, longest)
            .unwrap_err();
        assert_eq!(error.to_string(), "is 2h, but must be from 1s to 1h");
    }
}
