//! Rates over a run, percentiles, and the memory of a process.

use std::time::{Duration, Instant};

/// When each certificate was done.
pub(crate) struct Progress {
    started: Instant,
    done: Vec<Duration>,
    /// How many were done, and the processor time that had been used.
    used: Vec<(usize, Duration)>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            done: Vec::new(),
            used: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, count: usize) {
        let at = self.started.elapsed();
        self.done.extend(std::iter::repeat_n(at, count));
    }

    /// Notes the processor time that was used so far.
    pub(crate) fn used(&mut self, time: Duration) {
        self.used.push((self.done.len(), time));
    }

    /// Milliseconds of processor per certificate.
    pub(crate) fn processor(&self) -> Option<f64> {
        milliseconds_each(&self.used)
    }

    /// Milliseconds of processor per certificate, over the first fifth and the last: unlike the
    /// rate, it does not hang on what else this machine does.
    pub(crate) fn processor_first_and_last(&self) -> Option<(f64, f64)> {
        let fifth = self.used.len() / 5;
        let last = self.used.len().checked_sub(fifth + 1)?;
        Some((
            milliseconds_each(self.used.get(..=fifth)?)?,
            milliseconds_each(self.used.get(last..)?)?,
        ))
    }

    pub(crate) fn rate(&self) -> f64 {
        rate(
            self.done.len(),
            self.done.last().copied().unwrap_or(Duration::ZERO),
        )
    }

    /// Certificates per second, thousand after thousand.
    pub(crate) fn rates(&self) -> Vec<f64> {
        let mut before = Duration::ZERO;
        let mut rates = Vec::new();
        for thousand in self.done.chunks(1000) {
            let end = *thousand.last().unwrap();
            rates.push(rate(thousand.len(), end.saturating_sub(before)));
            before = end;
        }
        rates
    }

    /// How the last thousand compares with the first, if there are several.
    pub(crate) fn last_to_first(&self) -> Option<f64> {
        let rates = self.rates();
        match rates.as_slice() {
            [first, .., last] => Some(last / first),
            _ => None,
        }
    }
}

/// Between the first mark and the last.
fn milliseconds_each(marks: &[(usize, Duration)]) -> Option<f64> {
    let ((from, before), (to, after)) = (marks.first()?, marks.last()?);
    let took = after.saturating_sub(*before);
    (to > from).then(|| 1000.0 / rate(to - from, took))
}

#[expect(clippy::cast_precision_loss, reason = "counts of certificates")]
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// Waiting times of one kind of request.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// In words: p50, p99, worst.
    pub(crate) fn summary(mut self) -> String {
        self.0.sort();
        let Some(last) = self.0.len().checked_sub(1) else {
            return "none".to_owned();
        };
        let at = |percent: usize| self.0[last * percent / 100];
        format!(
            "p50 {:.2?}, p99 {:.2?}, worst {:.2?} of {}",
            at(50),
            at(99),
            self.0[last],
            self.0.len()
        )
    }
}

/// Resident memory, as the system shows it.
pub(crate) fn memory(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

/// Processor time that a process has used, in clock ticks of 10 ms.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
