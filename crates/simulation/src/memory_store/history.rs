//! Lines of history.

use dps_application::ports::store::DomainEvent;
use dps_domain::{DomainId, EventKind, Timestamp, bounds};

use super::row::{Line, Row};
use super::{Content, EVENTS_PER_DOMAIN, State};

impl State {
    /// Adds a line, and drops the oldest beyond the number that is kept.
    pub(super) fn add_line(&mut self, id: DomainId, event: &DomainEvent, content: Content) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let was_empty = row.oldest_line().is_none();
        let replaces = event.replaces_its_like() && row.newest_kind() == Some(event.kind);
        match content {
            Content::Full => {
                if replaces {
                    row.events.pop_back();
                }
                row.events.push_back(bounds::event(event).into_owned());
            }
            Content::Slim => {
                if replaces {
                    row.lines.pop_back();
                }
                row.lines.push_back(Line::new(event.at, event.kind));
            }
        }
        if row.events.len().max(row.lines.len()) > EVENTS_PER_DOMAIN {
            row.drop_oldest_line();
        }
        if was_empty {
            let oldest = row.oldest_line();
            self.due.lines.extend(oldest.map(|at| (at, id)));
        }
    }
}

impl Row {
    pub(super) fn oldest_line(&self) -> Option<Timestamp> {
        let slim = self.lines.front().map(|line| line.at());
        self.events.front().map(|event| event.at).or(slim)
    }

    pub(super) fn drop_oldest_line(&mut self) {
        self.events.pop_front();
        self.lines.pop_front();
    }

    fn newest_kind(&self) -> Option<EventKind> {
        let slim = self.lines.back().map(|line| line.kind);
        self.events.back().map(|event| event.kind).or(slim)
    }
}
