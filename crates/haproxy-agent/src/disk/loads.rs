//! Loads of the crt-list that HAProxy may have under way. Pure: fed with the events of the file.
//!
//! HAProxy opens the crt-list, loads every certificate that it lists, and closes it. Later the new
//! worker takes over. A worker whose load began before a change of the disk may lack that change.
//!
//! The events do not count openings: the kernel merges equal events that were not read. So a change
//! of the disk ends with a crt-list in a new file. A process that opened the file before that began
//! too early. The kernel reports a replaced file as deleted once no process has it open any more,
//! which is exact.

use std::time::Duration;

use tokio::time::Instant;

use crate::runtime_api::Process;

/// Longest time for which an open file counts as a load. For each certificate, six times HAProxy's
/// time with OpenSSL 3.0 is added. A process that keeps it open for longer does not load.
const LONGEST_LOAD: Duration = Duration::from_secs(60);
const LONGEST_LOAD_PER_CERTIFICATE: Duration = Duration::from_millis(5);

/// Shortest time between the end of a load and the takeover that is allowed for, for each
/// certificate. HAProxy needs a third of the time that the load took.
const PREPARATION_PER_CERTIFICATE: Duration = Duration::from_micros(500);

/// Kernel's number of a watched file.
pub(super) type Watch = i32;

/// How far the loads are that began before the last change of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadState {
    /// None can take over any more.
    Over,
    /// A process still has a crt-list open.
    UnderWay,
    /// The last one ended a moment ago, and its worker may take over.
    MayTakeOver,
}

/// The process that takes over after a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takeover {
    /// The process that answers now. It has taken over.
    Done,
    /// The next process that answers, or none, since no process served after the load began.
    Next,
    /// Any later process.
    Later,
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    /// The process that takes over after the loads of this file.
    takeover: Takeover,
    /// Whether another process opened the file, as far as is known.
    is_opened: bool,
    /// When the last load of it began, as far as is known.
    opened_at: Option<Instant>,
    /// The last time that it was closed.
    closed_at: Option<Instant>,
    /// When another file took its place. Absent for the file that a load would open now.
    replaced_at: Option<Instant>,
}

/// The end of a load.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    /// Duration of the load; zero if its begin was not seen.
    took: Duration,
    takeover: Takeover,
}

/// The files of the crt-list that are watched.
#[derive(Debug, Default)]
pub(super) struct Loads {
    watched: Vec<Watched>,
    /// End of the last load that has not taken over yet.
    ended: Option<End>,
    /// The process that answered after the last load began.
    before: Option<Process>,
}

impl Loads {
    /// Puts a new file in the place of the present one. Absent if it cannot be watched.
    pub(super) fn replace(&mut self, new: Option<Watch>, now: Instant) {
        for file in &mut self.watched {
            file.replaced_at.get_or_insert(now);
        }
        if let Some(watch) = new {
            self.add(watch, false);
        }
    }

    /// Adds a file that a process may have opened before it was watched.
    pub(super) fn adopt(&mut self, watch: Watch) {
        self.add(watch, true);
    }

    fn add(&mut self, watch: Watch, is_opened: bool) {
        // One file by two names has one watch.
        self.watched.retain(|file| file.watch != watch);
        self.watched.push(Watched {
            watch,
            takeover: Takeover::Later,
            is_opened,
            opened_at: None,
            closed_at: None,
            replaced_at: None,
        });
    }

    /// A process opened a file.
    pub(super) fn opened(&mut self, watch: Watch, now: Instant) {
        if let Some(file) = self.file(watch) {
            file.is_opened = true;
            file.takeover = Takeover::Later;
            // While it is open, the first load counts.
            if file
                .opened_at
                .is_none_or(|opened_at| file.closed_at > Some(opened_at))
            {
                file.opened_at = Some(now);
            }
            self.before = None;
        }
    }

    /// A process closed a file; others may still have it open.
    pub(super) fn closed(&mut self, watch: Watch, now: Instant) {
        if let Some(file) = self.file(watch) {
            file.is_opened = true;
            file.closed_at = Some(now);
            if file.takeover == Takeover::Done {
                // The process that took over closed it before. So this was another process.
                file.takeover = Takeover::Later;
            }
        }
    }

    /// No process has a file open, and none can open it any more.
    pub(super) fn deleted(&mut self, watch: Watch) {
        for file in self.watched.extract_if(.., |file| file.watch == watch) {
            // Without an end there was no load: a process that has a file open closes it first.
            let Some(at) = file.closed_at else { continue };
            let took = file
                .opened_at
                .map_or(Duration::ZERO, |opened_at| at - opened_at);
            if file.takeover == Takeover::Done {
                continue;
            }
            let takeover = file.takeover;
            let before = self.ended.unwrap_or(End { at, took, takeover });
            self.ended = Some(End {
                at: at.max(before.at),
                took: took.max(before.took),
                takeover: takeover.max(before.takeover),
            });
        }
    }

    /// Events were lost: each file may have been opened and closed.
    pub(super) fn lost_events(&mut self, now: Instant) {
        for file in &mut self.watched {
            file.is_opened = true;
            file.closed_at = Some(now);
            file.takeover = Takeover::Later;
        }
        self.before = None;
    }

    /// Notes that no process listens on HAProxy's socket, as seen after the events. A reload keeps
    /// the socket, so no process serves. Of the loads until now, only that of the next process that
    /// answers can still take over.
    pub(super) fn refused(&mut self) {
        for file in self.watched.iter_mut().filter(|file| file.is_opened) {
            file.takeover = Takeover::Next;
        }
        if let Some(ended) = &mut self.ended {
            ended.takeover = Takeover::Next;
        }
    }

    /// Notes which process serves, as read after the events. If it is another one than
    /// before the end of a load, that load has taken over.
    pub(super) fn observed(&mut self, process: &Process) {
        let is_other = self
            .before
            .as_ref()
            .is_some_and(|before| !before.is_same(process));
        for file in &mut self.watched {
            if file.takeover == Takeover::Next {
                file.takeover = Takeover::Done;
            }
        }
        if is_other || self.ended.is_some_and(|end| end.takeover == Takeover::Next) {
            self.ended = None;
        }
        if is_other || self.before.is_none() {
            self.before = Some(process.clone());
        }
    }

    /// Whether a load may have begun since the present file took its place.
    pub(super) fn is_opened(&self) -> bool {
        let mut present = self
            .watched
            .iter()
            .filter(|file| file.replaced_at.is_none());
        present.any(|file| file.is_opened)
    }

    /// Forgets the replaced files that a process has open for longer than any load takes.
    pub(super) fn forget_overdue(
        &mut self,
        certificates: usize,
        now: Instant,
    ) -> Vec<(Watch, bool)> {
        let longest = LONGEST_LOAD + per_certificate(LONGEST_LOAD_PER_CERTIFICATE, certificates);
        let is_overdue = |file: &mut Watched| {
            let replaced_at = file.replaced_at;
            replaced_at.is_some_and(|replaced_at| now.duration_since(replaced_at) >= longest)
        };
        let overdue = self.watched.extract_if(.., is_overdue);
        overdue.map(|file| (file.watch, file.is_opened)).collect()
    }

    /// How far the loads are that began before the present file took its place.
    pub(super) fn state(&self, grace: Duration, certificates: usize, now: Instant) -> LoadState {
        let is_under_way = |file: &Watched| file.is_opened && file.replaced_at.is_some();
        if self.watched.iter().any(is_under_way) {
            return LoadState::UnderWay;
        }
        let least = per_certificate(PREPARATION_PER_CERTIFICATE, certificates);
        match self.ended {
            Some(end) if now.duration_since(end.at) < grace + least.max(end.took) => {
                LoadState::MayTakeOver
            }
            _ => LoadState::Over,
        }
    }

    fn file(&mut self, watch: Watch) -> Option<&mut Watched> {
        self.watched.iter_mut().find(|file| file.watch == watch)
    }
}

fn per_certificate(time: Duration, certificates: usize) -> Duration {
    time.saturating_mul(u32::try_from(certificates).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(2);
    const SECOND: Duration = Duration::from_secs(1);

    fn process(pid: u32) -> Process {
        Process {
            version: String::new(),
            pid,
            started: 1,
            stopping: false,
        }
    }

    /// A file that HAProxy opened and another that took its place since.
    fn under_way(now: Instant) -> Loads {
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        loads.opened(1, now);
        loads.observed(&process(7));
        loads.replace(Some(2), now);
        loads
    }

    #[test]
    fn a_load_is_over_when_its_worker_has_taken_over() {
        let now = Instant::now();
        let mut loads = under_way(now);
        assert_eq!(loads.state(GRACE, 0, now), LoadState::UnderWay);
        loads.closed(1, now);
        assert_eq!(loads.state(GRACE, 0, now), LoadState::UnderWay);
        loads.deleted(1);
        assert_eq!(loads.state(GRACE, 0, now), LoadState::MayTakeOver);
        loads.observed(&process(7));
        assert_eq!(loads.state(GRACE, 0, now), LoadState::MayTakeOver);
        loads.observed(&process(8));
        assert_eq!(loads.state(GRACE, 0, now), LoadState::Over);
    }

    #[test]
    fn a_load_without_a_takeover_is_over_after_the_grace() {
        let now = Instant::now();
        let mut loads = under_way(now);
        loads.closed(1, now);
        loads.deleted(1);
        assert_eq!(loads.state(GRACE, 0, now + SECOND), LoadState::MayTakeOver);
        assert_eq!(loads.state(GRACE, 0, now + 2 * SECOND), LoadState::Over);
        // Of many certificates the preparation takes longer.
        assert_eq!(
            loads.state(GRACE, 50_000, now + 26 * SECOND),
            LoadState::MayTakeOver
        );
        assert_eq!(
            loads.state(GRACE, 50_000, now + 27 * SECOND),
            LoadState::Over
        );
    }

    #[test]
    fn the_grace_is_longer_after_a_load_that_took_long() {
        let now = Instant::now();
        let mut loads = under_way(now);
        // Another reader meanwhile changes nothing.
        loads.opened(1, now + SECOND);
        loads.closed(1, now + 10 * SECOND);
        loads.deleted(1);
        assert_eq!(
            loads.state(GRACE, 0, now + 21 * SECOND),
            LoadState::MayTakeOver
        );
        assert_eq!(loads.state(GRACE, 0, now + 22 * SECOND), LoadState::Over);
    }

    #[test]
    fn a_takeover_before_the_load_began_is_not_its_own() {
        let now = Instant::now();
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        loads.observed(&process(7));
        // Opened, closed and replaced before the agent read which process serves.
        loads.opened(1, now);
        loads.closed(1, now);
        loads.replace(Some(2), now);
        loads.deleted(1);
        loads.observed(&process(8));
        assert_eq!(loads.state(GRACE, 0, now), LoadState::MayTakeOver);
        loads.observed(&process(9));
        assert_eq!(loads.state(GRACE, 0, now), LoadState::Over);
    }

    #[test]
    fn a_load_while_no_process_served_is_over_when_one_answers() {
        let now = Instant::now();
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        loads.opened(1, now);
        loads.refused();
        loads.closed(1, now + 60 * SECOND);
        loads.observed(&process(7));
        loads.replace(Some(2), now + 61 * SECOND);
        loads.deleted(1);
        assert_eq!(
            loads.state(GRACE, 50_000, now + 61 * SECOND),
            LoadState::Over
        );
    }

    #[test]
    fn a_load_that_ended_while_no_process_served_is_over_when_one_answers() {
        let now = Instant::now();
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        loads.opened(1, now);
        loads.closed(1, now);
        loads.replace(Some(2), now);
        loads.deleted(1);
        loads.refused();
        assert_eq!(loads.state(GRACE, 0, now), LoadState::MayTakeOver);
        loads.observed(&process(7));
        assert_eq!(loads.state(GRACE, 0, now), LoadState::Over);
    }

    #[test]
    fn a_load_that_began_after_the_last_refusal_may_take_over() {
        let now = Instant::now();
        for is_closed_before in [true, false] {
            let mut loads = Loads::default();
            loads.replace(Some(1), now);
            loads.opened(1, now);
            loads.refused();
            if is_closed_before {
                loads.closed(1, now);
                loads.opened(1, now);
                loads.observed(&process(7));
            } else {
                // A second reader closes it after the process that took over answered.
                loads.observed(&process(7));
                loads.closed(1, now);
            }
            loads.replace(Some(2), now);
            assert_eq!(loads.state(GRACE, 0, now), LoadState::UnderWay);
            loads.closed(1, now);
            loads.deleted(1);
            assert_eq!(loads.state(GRACE, 0, now), LoadState::MayTakeOver);
        }
    }

    #[test]
    fn a_load_of_the_present_file_is_not_waited_for() {
        let now = Instant::now();
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        assert!(!loads.is_opened());
        loads.opened(1, now);
        assert!(loads.is_opened());
        assert_eq!(loads.state(GRACE, 0, now), LoadState::Over);
        loads.replace(Some(2), now);
        assert!(!loads.is_opened());
    }

    #[test]
    fn a_file_that_nobody_opened_is_not_waited_for() {
        let now = Instant::now();
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        loads.replace(Some(2), now);
        assert_eq!(loads.state(GRACE, 0, now), LoadState::Over);
        // Found at the start, it may be open until the kernel says otherwise.
        loads.adopt(3);
        assert!(loads.is_opened());
        loads.replace(Some(4), now);
        assert_eq!(loads.state(GRACE, 0, now), LoadState::UnderWay);
        loads.deleted(3);
        assert_eq!(loads.state(GRACE, 0, now), LoadState::Over);
    }

    #[test]
    fn whoever_keeps_a_file_open_for_longer_than_any_load_is_forgotten() {
        let now = Instant::now();
        let mut loads = under_way(now);
        assert!(loads.forget_overdue(100, now + 60 * SECOND).is_empty());
        assert_eq!(loads.forget_overdue(100, now + 61 * SECOND), [(1, true)]);
        assert_eq!(loads.state(GRACE, 0, now + 61 * SECOND), LoadState::Over);
    }

    #[test]
    fn lost_events_count_as_a_load_of_every_file() {
        let now = Instant::now();
        let mut loads = Loads::default();
        loads.replace(Some(1), now);
        loads.replace(Some(2), now);
        loads.lost_events(now);
        assert!(loads.is_opened());
        assert_eq!(loads.state(GRACE, 0, now), LoadState::UnderWay);
    }
}
