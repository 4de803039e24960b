//! The overview: does anything need me?

use std::time::Duration;

use askama::Template;
use dps_admin_api::{Cause, Fleet, Limit, Pause, Queue, ReplicaState};
use dps_chart::{Curve, Figure, Shape};
use dps_domain::{FailureCode, Status, Timestamp};

use crate::html::Html;
use crate::page::{Page, grouped};

/// Causes that are shown.
const CAUSES: usize = 8;
/// Age of the counts at which they need attention, in seconds.
const OLD_COUNTS: u64 = 5 * 60;

/// Longer queues are counted as this long.
const MOST_COUNTED: u32 = 10_000;

/// Domains at one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// When they were counted.
    pub at: Timestamp,
    /// Domains that are served.
    pub active: u64,
    /// Domains on the way to their first certificate.
    pub pending: u64,
    /// Domains that stopped.
    pub failed: u64,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeState {
    /// Its name.
    pub name: String,
    /// Its state in a word, as in [`Edge`](dps_admin_api::Edge).
    pub state: &'static str,
}

/// The time from the intake to the first certificate, of domains that were first served within a
/// day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeToActive {
    /// When the domains were last read.
    pub at: Timestamp,
    /// Their number.
    pub domains: u64,
    /// Half of them took no longer.
    pub half: Duration,
    /// 99 of a hundred took no longer.
    pub nearly_all: Duration,
}

/// The first orders that wait for the CA's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrdersAhead {
    /// Their number.
    pub waiting: u32,
    /// Whether there are more.
    pub is_least: bool,
    /// When the limit allows the last of them; `None` without any or without a limit.
    pub last_at: Option<Timestamp>,
}

/// A limit of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headroom {
    /// The limit.
    pub limit: Limit,
    /// Requests of a limit that is not used.
    pub capacity: u32,
}

impl Headroom {
    pub(crate) fn is_used_up(&self) -> bool {
        self.limit.left == Some(0) || self.limit.blocked_until.is_some()
    }
}

/// The overview.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// The frame.
    pub page: Page,
    /// The counts.
    pub fleet: Fleet,
    /// Whether more domains end soon than `fleet` says.
    pub expiring_is_least: bool,
    /// A pause of issuance, if one is in force.
    pub pause: Option<Pause>,
    /// Whether other pauses are in force as well.
    pub has_more_pauses: bool,
    /// The edges.
    pub edges: Vec<EdgeState>,
    /// The limits of the account.
    pub limits: Vec<Headroom>,
    /// The counts of the last days, the oldest first.
    pub hours: Vec<Hour>,
    /// The time to active; `None` if no domain was first served within a day.
    pub time_to_active: Option<TimeToActive>,
    /// The first orders that wait for the limit.
    pub orders: OrdersAhead,
    /// The domains of every lane.
    pub queues: Vec<Queue>,
    /// The replicas.
    pub replicas: Vec<ReplicaState>,
}

/// Something that needs attention.
struct Attention {
    number: String,
    text: &'static str,
    /// Who and why; empty if there is nothing to say.
    note: String,
    link: &'static str,
}

/// A curve of a figure.
struct Drawn {
    name: &'static str,
    pick: fn(&Hour) -> u64,
}

impl Overview {
    fn attention(&self) -> Vec<Attention> {
        let t = self.page.t();
        let sum =
            |pick: &dyn Fn(&Cause) -> u64| -> u64 { self.fleet.causes.iter().map(pick).sum() };
        let ours = sum(&|cause| match cause.actor {
            dps_domain::Actor::Operator => cause.domains,
            _ => 0,
        });
        let served = sum(&|cause| {
            // Nobody waits for the renewal of a domain that moved away.
            let moved = cause.code == FailureCode::DnsMoved.as_str();
            if moved { 0 } else { cause.served }
        });
        let edges = |states: &[&str]| {
            let found = self.edges.iter();
            let found = found.filter(|edge| states.contains(&edge.state));
            u64::try_from(found.count()).unwrap_or(u64::MAX)
        };
        let blocked = self.limits.iter().filter(|limit| limit.is_used_up());
        let blocked = u64::try_from(blocked.count()).unwrap_or(u64::MAX);
        let old = self.page.now.since(self.fleet.counted_at).as_secs() > OLD_COUNTS;
        let lines = [
            (ours, t.attention_operator, "/domains?actor=operator"),
            (
                self.fleet.expiring,
                t.attention_expiring,
                "/domains?expiresWithin=7d",
            ),
            (served, t.attention_served, "/causes#served"),
            (edges(&["silent"]), t.attention_unreachable, "/edges"),
            (edges(&["on probation"]), t.attention_probation, "/edges"),
            (
                edges(&["waits for approval"]),
                t.attention_approval,
                "/edges",
            ),
            (blocked, t.attention_limits, "/ca"),
            (u64::from(old), t.attention_counts, "/"),
        ];
        let lines = lines.into_iter().filter(|(number, _, _)| *number > 0);
        let line = |(number, text, link)| {
            let least = link == "/domains?expiresWithin=7d" && self.expiring_is_least;
            let mut number = grouped(number);
            if least {
                number.push('+');
            }
            // The text about old counts counts nothing.
            if link == "/" {
                number.clear();
            }
            let note = String::new();
            Attention {
                number,
                text,
                note,
                link,
            }
        };
        let pause = self.pause.as_ref().map(|pause| Attention {
            number: String::new(),
            text: t.attention_paused,
            note: {
                let covered = match &pause.subject {
                    Some(subject) => subject.as_str(),
                    None => t.scope_all,
                };
                let others = if self.has_more_pauses { ", …" } else { "" };
                match &pause.reason {
                    Some(reason) => format!("{covered}{others} · {}: {reason}", pause.who),
                    None => format!("{covered}{others} · {}", pause.who),
                }
            },
            link: "/issuance",
        });
        pause.into_iter().chain(lines.map(line)).collect()
    }

    fn causes(&self) -> &[Cause] {
        &self.fleet.causes[..self.fleet.causes.len().min(CAUSES)]
    }

    fn queued(&self, queue: &Queue) -> String {
        let more = if queue.domains >= MOST_COUNTED {
            "+"
        } else {
            ""
        };
        format!("{}{more}", self.page.number32(&queue.domains))
    }

    fn waiting(&self) -> String {
        let more = if self.orders.is_least { "+" } else { "" };
        format!("{}{more}", self.page.number32(&self.orders.waiting))
    }

    fn figure(&self, id: &str, title: &str, drawn: &[Drawn]) -> Html {
        let (Some(first), Some(last)) = (self.hours.first(), self.hours.last()) else {
            return Html::new(String::new());
        };
        let length = number(last.at.since(first.at).as_secs()).max(1.0);
        let place = |hour: &Hour| number(hour.at.since(first.at).as_secs()) / length;
        let curve = |pick: fn(&Hour) -> u64| {
            let points = self.hours.iter();
            let points = points.map(|hour| (place(hour), Some(number(pick(hour)))));
            Curve {
                points: points.collect(),
            }
        };
        let mut labels: Vec<(f64, String)> = Vec::new();
        let mut day = first.at.to_string().get(..10).map(str::to_owned);
        for hour in &self.hours {
            let text = hour.at.to_string();
            let date = text.get(..10).map(str::to_owned);
            if date != day {
                labels.push((place(hour), text.get(5..10).unwrap_or_default().to_owned()));
                day = date;
            }
        }
        let values = drawn.iter();
        let values = values.map(|one| format!("{}: {}", one.name, (one.pick)(last)));
        let figure = Figure {
            id,
            title,
            description: &values.collect::<Vec<_>>().join(", "),
            shape: Shape::Curves {
                curves: drawn.iter().map(|one| curve(one.pick)).collect(),
                labels,
            },
        };
        Html::new(figure.to_svg())
    }

    fn served_chart(&self) -> Html {
        let t = self.page.t();
        let active = Drawn {
            name: t.status_active,
            pick: |hour| hour.active,
        };
        self.figure("served", t.chart_served, &[active])
    }

    fn open_chart(&self) -> Html {
        let t = self.page.t();
        let pending = Drawn {
            name: t.chart_pending,
            pick: |hour| hour.pending,
        };
        let failed = Drawn {
            name: t.status_failed,
            pick: |hour| hour.failed,
        };
        self.figure("open", t.chart_open, &[pending, failed])
    }

    /// The last counts of every day, the newest first.
    fn days(&self) -> Vec<(String, Hour)> {
        let mut days: Vec<(String, Hour)> = Vec::new();
        for hour in &self.hours {
            let date = hour.at.to_string().get(..10).unwrap_or_default().to_owned();
            match days.last_mut() {
                Some((last, kept)) if *last == date => *kept = *hour,
                _ => days.push((date, *hour)),
            }
        }
        days.reverse();
        days
    }

    fn statuses(&self) -> Vec<(Status, u64, Option<i64>)> {
        let statuses = self.fleet.statuses.iter();
        statuses
            .map(|one| (one.status, one.domains, one.change))
            .collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a drawing needs no more than the digits of f64"
)]
const fn number(value: u64) -> f64 {
    value as f64
}
