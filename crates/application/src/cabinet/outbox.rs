//! Which waiting report a new one makes superfluous.
//!
//! A report says all that the Cabinet is to know of a domain, so the newest alone is true. Older
//! reports only add the order of the statuses that the domain went through. Therefore a new report
//! replaces the first waiting one with the same status. The reports between them, a detour that
//! ended where it began, are dropped. The Cabinet sees the statuses in their order, and each move
//! between them was made. The last report is the present state. No status waits twice. So a
//! domain's queue is bounded by the number of statuses and one report under way, however long the
//! Cabinet is down.

use dps_domain::Status;

/// A report that waits, or is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the order.
    pub id: i64,
    /// Its status; `None` if an earlier version wrote it.
    pub status: Option<Status>,
    /// Whether it is under way: the Cabinet may have it already.
    pub leased: bool,
}

/// The report whose place a new one with `status` takes; all after that one are dropped. `None`
/// puts it at the end.
pub fn replaced(waiting: &[Waiting], status: Status) -> Option<i64> {
    waiting
        .iter()
        .find(|report| !report.leased && report.status == Some(status))
        .map(|report| report.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waiting reports after these were written while the Cabinet is down.
    fn queue(leased: Option<Status>, written: &[Status]) -> Vec<Status> {
        let mut waiting: Vec<Waiting> = leased
            .map(|status| Waiting {
                id: 0,
                status: Some(status),
                leased: true,
            })
            .into_iter()
            .collect();
        for (id, status) in (1..).zip(written) {
            match replaced(&waiting, *status) {
                Some(place) => waiting.retain(|report| report.id <= place),
                None => waiting.push(Waiting {
                    id,
                    status: Some(*status),
                    leased: false,
                }),
            }
        }
        waiting.iter().filter_map(|report| report.status).collect()
    }

    #[test]
    fn statuses_stay_in_order_and_repeated_checks_become_one() {
        use Status::{Active, Issuing, PendingDns, PendingHttpProbe};
        let written = [
            PendingDns,
            PendingDns,
            PendingDns,
            PendingHttpProbe,
            Issuing,
            Active,
            Active,
        ];
        assert_eq!(
            queue(None, &written),
            [PendingDns, PendingHttpProbe, Issuing, Active]
        );
    }

    #[test]
    fn a_detour_that_ended_where_it_began_is_dropped() {
        use Status::{Issuing, PendingDns, PendingHttpProbe};
        let written = [PendingHttpProbe, Issuing, PendingDns, PendingHttpProbe];
        assert_eq!(queue(None, &written), [PendingHttpProbe]);
    }

    #[test]
    fn a_report_under_way_is_never_touched_and_the_queue_has_an_end() {
        use Status::{Issuing, PendingDns, PendingHttpProbe};
        let written = [PendingDns, PendingHttpProbe, Issuing].repeat(1000);
        assert_eq!(
            queue(Some(PendingDns), &written),
            [PendingDns, PendingDns, PendingHttpProbe, Issuing]
        );
    }
}
