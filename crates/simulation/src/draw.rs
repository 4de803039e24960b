//! A run as one page: orders, waiting, lifetimes and headroom over the days, with what happened.

use std::time::Duration;

use dps_chart::{Line, Page, Panel, Scale};
use dps_domain::lane::Lane;

use crate::observe::Sample;
use crate::outcome::{Outcome, grouped};

/// Points of a line at most: more cannot be distinguished.
const POINTS: usize = 450;
const DAY: f64 = 86_400.0;

/// How the samples of one point become one value.
#[derive(Clone, Copy)]
enum Gather {
    Mean,
    Most,
    Least,
}

/// The page.
pub fn page(outcome: &Outcome) -> Page {
    let scenario = &outcome.scenario;
    let verdict = if outcome.is_good() {
        "everything held"
    } else {
        "NOT everything held"
    };
    Page {
        title: scenario.title.clone(),
        subtitle: format!(
            "{} domains, {} days, certificates of {}, {} replica(s), {} edges, seed {}: {verdict}",
            grouped(scenario.domains.into()),
            scenario.days,
            scenario.ca.lifetime,
            scenario.replicas.count,
            scenario.edges.count,
            outcome.seed
        ),
        days: f64::from(scenario.days),
        marks: marks(outcome),
        panels: vec![
            orders(&outcome.samples),
            waiting(&outcome.samples),
            lifetimes(&outcome.samples),
            headroom(&outcome.samples),
        ],
    }
}

/// The marks of events; of many similar ones in a crowd, only the first is shown.
fn marks(outcome: &Outcome) -> Vec<(String, f64, f64)> {
    const LABELS_OF_A_KIND: usize = 12;
    let same = |label: &str| {
        let kind = |text: &str| {
            text.trim_start_matches(|c: char| c.is_ascii_digit())
                .to_owned()
        };
        let wanted = kind(label);
        let marks = outcome.marks.iter();
        marks.filter(|mark| kind(&mark.label) == wanted).count()
    };
    let mut seen: Vec<String> = vec![];
    let mut kept = vec![];
    for mark in &outcome.marks {
        let many = same(&mark.label);
        if many > LABELS_OF_A_KIND {
            if seen.contains(&mark.label) {
                continue;
            }
            seen.push(mark.label.clone());
        }
        let label = if many > LABELS_OF_A_KIND {
            format!("{} ({many} times)", mark.label)
        } else {
            mark.label.clone()
        };
        kept.push((label, days(mark.from), days(mark.to)));
    }
    kept
}

fn orders(samples: &[Sample]) -> Panel {
    Panel {
        title: "Orders, certificates and refusals per hour".into(),
        scale: Scale::Linear,
        lines: vec![
            line("orders placed", samples, Gather::Mean, |s| {
                Some(float(s.orders))
            }),
            line("certificates issued", samples, Gather::Mean, |s| {
                Some(float(s.issued))
            }),
            line("refused by a limit", samples, Gather::Most, |s| {
                Some(float(s.refused))
            }),
        ],
        level: None,
    }
}

fn waiting(samples: &[Sample]) -> Panel {
    let mut lines: Vec<Line> = Lane::ALL
        .iter()
        .enumerate()
        .filter(|(index, _)| {
            samples
                .iter()
                .any(|sample| !sample.waiting[*index].is_zero())
        })
        .map(|(index, lane)| {
            line(lane.as_str(), samples, Gather::Most, move |sample| {
                Some(sample.waiting[index].as_secs_f64())
            })
        })
        .collect();
    lines.sort_by(|one, other| most(other).total_cmp(&most(one)));
    lines.truncate(7);
    Panel {
        title: "How long the oldest due domain of each lane has been waiting (log scale)".into(),
        scale: Scale::Time,
        lines,
        level: None,
    }
}

fn lifetimes(samples: &[Sample]) -> Panel {
    let rank = |index: usize| {
        move |sample: &Sample| {
            let hours = sample.remaining_hours?[index];
            Some(f64::from(i32::try_from(hours.max(0)).unwrap_or(i32::MAX)) / 24.0)
        }
    };
    Panel {
        title: "Days that served certificates are still valid".into(),
        scale: Scale::Linear,
        lines: vec![
            line("half of them", samples, Gather::Least, rank(2)),
            line("1 in 100", samples, Gather::Least, rank(1)),
            line("the soonest to end", samples, Gather::Least, rank(0)),
        ],
        level: Some(("expired".into(), 0.0)),
    }
}

fn headroom(samples: &[Sample]) -> Panel {
    Panel {
        title: "What is left of the CA's limit of new orders (%)".into(),
        scale: Scale::Linear,
        lines: vec![
            line("mean", samples, Gather::Mean, |s| Some(s.headroom * 100.0)),
            line("least", samples, Gather::Least, |s| {
                Some(s.headroom * 100.0)
            }),
        ],
        level: None,
    }
}

fn most(line: &Line) -> f64 {
    let values = line.points.iter().filter_map(|(_, value)| *value);
    values.fold(0.0, f64::max)
}

fn line(
    name: &str,
    samples: &[Sample],
    gather: Gather,
    value: impl Fn(&Sample) -> Option<f64>,
) -> Line {
    let size = samples.len().div_ceil(POINTS).max(1);
    let points = samples.chunks(size).filter_map(|chunk| {
        let day = days(chunk.last()?.at);
        let values: Vec<f64> = chunk.iter().filter_map(&value).collect();
        Some((day, gathered(&values, gather)))
    });
    Line {
        name: name.to_owned(),
        points: points.collect(),
    }
}

fn gathered(values: &[f64], gather: Gather) -> Option<f64> {
    let values_count = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    match gather {
        Gather::Mean if values.is_empty() => None,
        Gather::Mean => Some(values.iter().sum::<f64>() / values_count),
        Gather::Most => values.iter().copied().reduce(f64::max),
        Gather::Least => values.iter().copied().reduce(f64::min),
    }
}

fn days(at: Duration) -> f64 {
    at.as_secs_f64() / DAY
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
