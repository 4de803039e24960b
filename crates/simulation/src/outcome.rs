//! Whether a run went well, in numbers and words that are the same in every run with the same seed.

mod contested;

use std::fmt::Write as _;
use std::time::Duration;

use dps_domain::Status;
use dps_domain::lane::Lane;
use dps_host::HumanDuration;
use serde::Serialize;

use crate::observe::Sample;
use crate::plan::Mark;
use crate::rows::{Bound, Peak};
use crate::scenario::Scenario;
use crate::world::World;

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The scenario of the run.
    pub scenario: Scenario,
    /// The seed of the run.
    pub seed: u64,
    /// One verdict for each condition.
    pub verdicts: Vec<Verdict>,
    /// Further numbers, by name.
    pub figures: Vec<(String, String)>,
    /// The hourly samples.
    pub samples: Vec<Sample>,
    /// The labelled stretches of the run that drawings show.
    pub marks: Vec<Mark>,
}

/// Whether a condition held that every run must satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The condition, in words.
    pub rule: String,
    /// Whether it held.
    pub holds: bool,
    /// The figures of the verdict, in words.
    pub detail: String,
}

/// The observations of a run, beside those that the world counts.
pub(super) struct Observed {
    pub(super) samples: Vec<Sample>,
    pub(super) marks: Vec<Mark>,
    /// Revoked certificates that were not replaced when they became invalid.
    pub(super) left_when_void: Option<usize>,
    /// Every table with its peak and its bound.
    pub(super) rows: Vec<(&'static str, Peak, Bound)>,
}

impl Outcome {
    pub(super) fn of(world: &World, seed: u64, observed: Observed) -> Self {
        let mut figures = figures(world, &observed.samples);
        figures.push((
            "most rows per domain".to_owned(),
            row_figures(&observed.rows),
        ));
        let mut verdicts = verdicts(world, observed.left_when_void);
        verdicts.push(rows_stay_bounded(&observed.rows));
        Self {
            scenario: world.scenario.clone(),
            seed,
            verdicts,
            figures,
            samples: observed.samples,
            marks: observed.marks,
        }
    }

    /// Whether everything held.
    pub fn is_good(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.holds)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let scenario = &self.scenario;
        let mut text = format!(
            "{}\n{} domains, {} days, certificates of {}, seed {}\n\n",
            scenario.title,
            grouped(scenario.domains.into()),
            scenario.days,
            scenario.ca.lifetime,
            self.seed
        );
        let width = self
            .figures
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, value) in &self.figures {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:width$}  {value}");
        }
        text.push('\n');
        for verdict in &self.verdicts {
            let word = if verdict.holds { "holds " } else { "FAILED" };
            let _ = writeln!(text, "{word}  {}: {}", verdict.rule, verdict.detail);
        }
        text
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let samples: Vec<_> = self.samples.iter().map(sample_json).collect();
        let figures: serde_json::Map<_, _> = self
            .figures
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        serde_json::json!({
            "scenario": self.scenario,
            "seed": self.seed,
            "good": self.is_good(),
            "verdicts": self.verdicts,
            "facts": figures,
            "hours": samples,
        })
    }
}

fn sample_json(sample: &Sample) -> serde_json::Value {
    let waiting: serde_json::Map<_, _> = Lane::ALL
        .iter()
        .zip(sample.waiting)
        .map(|(lane, waiting)| (lane.as_str().to_owned(), waiting.as_secs().into()))
        .collect();
    serde_json::json!({
        "hour": sample.at.as_secs() / 3_600,
        "orders": sample.orders,
        "issued": sample.issued,
        "refused": sample.refused,
        "headroom": (sample.headroom * 1_000.0).round() / 1_000.0,
        "waitingSeconds": waiting,
        "remainingHours": sample.remaining_hours,
        "served": sample.served,
    })
}

/// A verdict that holds if there is none of something.
fn none(rule: &str, count: u64, good: &str, bad: &str) -> Verdict {
    Verdict {
        rule: rule.to_owned(),
        holds: count == 0,
        detail: if count == 0 {
            good.to_owned()
        } else {
            format!("{} {bad}", grouped(count))
        },
    }
}

fn verdicts(world: &World, left_when_void: Option<usize>) -> Vec<Verdict> {
    let tallies = &world.ca.tallies;
    let refused = tallies.refused_by_limit.get() + tallies.refused_as_paused.get();
    let mut verdicts = vec![
        none(
            "no served certificate expires for a domain that points to us",
            world.edges.expired_while_served(),
            "none did",
            "did",
        ),
        none(
            "no edge holds a certificate for longer than a day after its end",
            world.edges.held_after_their_end(),
            "none did",
            "are held",
        ),
        none(
            "no limit of the CA is exceeded",
            refused,
            "the CA refused nothing",
            &format!("requests were refused: {:?}", world.ca.refusals()),
        ),
        none(
            "nothing is ordered for a domain that left",
            tallies.orders_for_moved_away.get(),
            "nothing was",
            "orders were placed",
        ),
        none(
            "the Cabinet hears only of moves that it knows",
            world.cabinet.refused_reports.get() + world.cabinet.told_backwards.get(),
            "so it did",
            "reports did not fit",
        ),
        none(
            "no edge is handed an older certificate",
            world.edges.refused_as_older.get(),
            "none was",
            "were",
        ),
        none(
            "no certificate is lost",
            lost(world),
            "all that were issued were fetched",
            "were issued and never fetched",
        ),
        none(
            "no second order is placed for a name while one is live",
            tallies.orders_doubled_without_cause.get(),
            "none was, but where a crash or a lost answer hid the first",
            "were",
        ),
    ];
    if !world.claims.all().is_empty() {
        verdicts.extend(contested::verdicts(world));
    }
    if let Some(result) = world.ca.revocation() {
        let left = left_when_void.unwrap_or(result.left);
        let [half, most, last] = result.replaced_after.map(human);
        verdicts.push(Verdict {
            rule: "every revoked certificate is replaced before it is void".to_owned(),
            holds: left == 0,
            detail: format!(
                "{} revoked, half replaced within {half}, 99 % within {most}, the last after {last}, {left} left when void",
                grouped(result.total as u64)
            ),
        });
    }
    verdicts
}

/// No table has more rows per domain than its bound, at any time.
fn rows_stay_bounded(tables: &[(&'static str, Peak, Bound)]) -> Verdict {
    let (within, beyond): (Vec<_>, Vec<_>) = tables
        .iter()
        .partition(|(_, peak, bound)| bound.holds(peak));
    let holds = beyond.is_empty();
    let shown = if holds { within } else { beyond };
    let one = |(table, peak, bound): &(&str, Peak, Bound)| {
        format!(
            "{table} {:.2} of {:.1} ({} of {})",
            peak.average, bound.average, peak.most, bound.most
        )
    };
    let detail: Vec<String> = shown.iter().map(one).collect();
    Verdict {
        rule: "rows per domain stay within a bound in every table".to_owned(),
        holds,
        detail: format!("{}; in brackets those of one domain", detail.join(", ")),
    }
}

fn row_figures(tables: &[(&'static str, Peak, Bound)]) -> String {
    let one = |(table, peak, _): &(&str, Peak, Bound)| {
        format!("{table} {:.2} ({})", peak.average, peak.most)
    };
    let shown: Vec<String> = tables.iter().map(one).collect();
    format!("{}; in brackets those of one domain", shown.join(", "))
}

/// Certificates that no step fetched although their domain is still wanted.
fn lost(world: &World) -> u64 {
    let wanted = |number: &u32| {
        let status = world.cabinet.status(*number);
        let is_removed = matches!(status, Some(Status::PendingRemoval | Status::Removed));
        // The claim that lost a name has no use for its certificate.
        !is_removed && !world.claims.has_changed_hands(*number)
    };
    world.ca.unfetched().into_iter().filter(wanted).count() as u64
}

fn figures(world: &World, samples: &[Sample]) -> Vec<(String, String)> {
    let tallies = &world.ca.tallies;
    let mut figures = vec![];
    let mut figure = |name: &str, value: String| figures.push((name.to_owned(), value));
    figure("domains at the end", by_status(&world.cabinet.count()));
    if !world.claims.all().is_empty() {
        figure("contested names", contested::figure(world));
    }
    let busiest = samples
        .iter()
        .map(|sample| sample.orders)
        .max()
        .unwrap_or(0);
    figure(
        "orders",
        format!(
            "{}, {} of them named what they replace; at most {} in an hour",
            grouped(tallies.orders.get()),
            grouped(tallies.orders_that_replace.get()),
            grouped(busiest)
        ),
    );
    figure("certificates issued", grouped(tallies.issued.get()));
    figure(
        "failed validations",
        grouped(tallies.failed_validations.get()),
    );
    figure(
        "orders while one was live",
        grouped(tallies.orders_again_while_one_was_live.get()),
    );
    figure("requests to the CA", grouped(tallies.requests.get()));
    figure(
        "polls about renewals",
        grouped(tallies.renewal_info_asked.get()),
    );
    figure(
        "reports to the Cabinet",
        grouped(world.cabinet.reports.get()),
    );
    let least = samples
        .iter()
        .map(|sample| sample.headroom)
        .fold(1.0, f64::min);
    figure(
        "least headroom of new orders",
        format!("{:.1} %", least * 100.0),
    );
    for (index, lane) in Lane::ALL.iter().enumerate() {
        let longest = samples.iter().map(|sample| sample.waiting[index]).max();
        let longest = longest.unwrap_or_default();
        if !longest.is_zero() {
            figure(&format!("longest wait, {}", lane.as_str()), human(longest));
        }
    }
    let shortest = samples.iter().filter_map(|sample| sample.remaining_hours);
    if let Some(shortest) = shortest.map(|[soonest, _, _]| soonest).min() {
        figure("shortest remaining lifetime", format!("{shortest} h"));
    }
    figures
}

fn by_status(counts: &[(Status, usize)]) -> String {
    let some = counts.iter().filter(|(_, count)| *count > 0);
    let shares = some.map(|(status, count)| format!("{} {status}", grouped(*count as u64)));
    shares.collect::<Vec<_>>().join(", ")
}

fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    // Seconds do not matter from an hour on.
    let rounded = if seconds >= 3_600 {
        seconds / 60 * 60
    } else {
        seconds
    };
    HumanDuration::from_secs(rounded).to_string()
}

/// A number with commas between the thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
