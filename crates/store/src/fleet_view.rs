//! The fleet as operators ask for it: lists and counts by filters, and counts of earlier hours.
//!
//! A filter's plan names an order and ranges in it. Each order has its statements in
//! [`statements`], which read a range of an index and pass over what the filter's other parts
//! exclude. The end of a window is found first, so that no statement reads more of a range.

mod bounds;
mod statements;
mod tenants;

use async_trait::async_trait;
use dps_application::ports::FleetView;
use dps_application::ports::fleet_view::{
    CountPart, FleetCounts, GroupCount, ListPage, ListRequest, ListedDomain, MAX_PAGE, TenantPage,
    WINDOW,
};
use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use dps_domain::fleet::{DomainState, Leading, ListOrder, ListPlan, Place, PlaceRange, StateCount};

use self::bounds::{bounds, conditions};
use self::statements::{
    COUNT_STATES, DELETE_HOUR, RECOUNT, SELECT_NEWEST, SELECT_SINCE, SELECT_STATELESS, SET_STATE,
    STORE_HOUR, Statements, of_order,
};
use crate::connect::Store;
use crate::domains::row::read;
use crate::sql::{Row, Session, args, readable};

#[cfg(test)]
pub(crate) use self::statements::ALL;
pub(crate) use self::statements::record_of_place;

const STATES: &str = "domain_states";
const COUNTS: &str = "fleet_counts";
/// Records of a range that the first statement of a page reads, if it passes over some.
const FIRST_WINDOW: u32 = 500;
/// Records whose state is written with one count, at most.
const STATELESS: u32 = 500;
const HOUR_MICROS: i64 = 3_600_000_000;

/// A range of which at most a window is read.
struct Part {
    range: PlaceRange,
    /// Whether the range continues after the window.
    continues: bool,
}

/// The rest of a range after a place; `None` if it is before the place.
fn rest(range: &PlaceRange, after: Option<&Place>) -> Option<PlaceRange> {
    let mut range = range.clone();
    match after {
        Some(after) if *after >= range.upper => return None,
        Some(after) if *after > range.lower => range.lower = after.clone(),
        Some(_) | None => {}
    }
    Some(range)
}

/// The place that a row names.
fn place(order: ListOrder, row: &Row) -> Result<Place, StoreError> {
    let fields = row.fields(STATES, "place_id");
    let leading = match order {
        ListOrder::Name | ListOrder::Tenant | ListOrder::Reversed | ListOrder::Served => {
            Leading::Nothing
        }
        ListOrder::State => Leading::State {
            status: fields.get("place_status")?,
            actor: fields.get("place_actor")?,
            code: fields.get("place_code")?,
        },
        ListOrder::Expiry => Leading::Expiry(fields.at("place_at")?),
    };
    Ok(Place {
        leading,
        name: fields.get("place_name")?,
        id: fields.get("place_id")?,
    })
}

/// The beginning of a range, up to the end of a window.
async fn window(
    session: &mut Session,
    (order, of): (ListOrder, &Statements),
    request: &ListRequest<'_>,
    mut range: PlaceRange,
    rows: u32,
) -> Result<Part, StoreError> {
    let mut args = args![rows.saturating_sub(1)];
    if order == ListOrder::Tenant {
        args.extend(args![request.filter.tenant.as_deref().unwrap_or_default()]);
    }
    args.extend(bounds(&range));
    let row = session.fetch(of.end, args).await?;
    let end = row.map(|row| place(order, &row)).transpose()?;
    let continues = end.is_some();
    if let Some(end) = end {
        range.upper = end;
    }
    Ok(Part { range, continues })
}

/// A page of a list, which reads at most so many `rows` of a range.
async fn list(
    session: &mut Session,
    plan: &ListPlan,
    request: &ListRequest<'_>,
    limit: u32,
    rows: u32,
) -> Result<ListPage, StoreError> {
    let of = of_order(plan.order);
    let (mut page, mut left, mut passed) = (ListPage::default(), limit, None);
    for range in &plan.ranges {
        let Some(range) = rest(range, request.after.as_ref()) else {
            continue;
        };
        let part = if plan.passes_over {
            window(session, (plan.order, of), request, range, rows).await?
        } else {
            Part {
                range,
                continues: false,
            }
        };
        let mut args = conditions(request.filter, request.now);
        // One more shows whether the list goes on.
        args.extend(args![left + 1]);
        args.extend(bounds(&part.range));
        let mut rows = session.fetch_all(of.page, args).await?;
        let has_more = rows.len() > left as usize;
        rows.truncate(left as usize);
        left -= u32::try_from(rows.len()).unwrap_or(left);
        page.domains.extend(readable(&rows, listed));
        if has_more {
            // A page that the range before filled goes on after that range.
            let last = rows.last().map(|row| place(plan.order, row));
            page.next = last.transpose()?.or(passed);
            return Ok(page);
        }
        if part.continues {
            page.next = Some(part.range.upper);
            return Ok(page);
        }
        passed = Some(part.range.upper);
    }
    Ok(page)
}

fn listed(row: &Row) -> Result<ListedDomain, StoreError> {
    Ok(ListedDomain {
        record: read(row)?,
        status_since: row
            .fields(crate::domains::row::TABLE, "id")
            .at("status_since")?,
    })
}

fn state_count(row: &Row) -> Result<StateCount, StoreError> {
    let fields = row.fields(STATES, "status");
    let text = |column| fields.get::<String>(column);
    let (status, actor, code) = (text("status")?, text("actor")?, text("failure_code")?);
    let state = DomainState::parse(&status, &actor, &code);
    Ok(StateCount {
        state: state.map_err(|error| StoreError::Corrupt {
            table: STATES,
            row: status,
            reason: error.to_string(),
        })?,
        domains: fields.count("domains")?,
    })
}

fn group(row: &Row) -> Result<GroupCount, StoreError> {
    Ok(GroupCount {
        count: state_count(row)?,
        tenant: row.fields(STATES, "status").get("tenant")?,
    })
}

/// Writes the state of records that a replica of an earlier version took in, which may never be
/// written again.
async fn write_missing_states(session: &mut Session) -> Result<(), StoreError> {
    let rows = session
        .fetch_all(SELECT_STATELESS, args![STATELESS])
        .await?;
    for record in readable(&rows, read) {
        let state = DomainState::of(&record);
        let args = args![
            record.id,
            state.status.as_str(),
            state.code_text(),
            state.actor_text(),
            record.updated_at,
            record.hostname.reversed(),
            record.revision,
        ];
        session.execute(SET_STATE, args).await?;
    }
    Ok(())
}

/// The counts of hours, from rows in the order of hours.
fn hours(rows: &[Row]) -> Result<Vec<FleetCounts>, StoreError> {
    let mut hours: Vec<FleetCounts> = Vec::new();
    for row in rows {
        let fields = row.fields(COUNTS, "hour");
        // The first row of each hour has no status.
        if fields.get::<String>("status")?.is_empty() {
            hours.push(FleetCounts {
                counted_at: fields.at("counted_at")?,
                counts: Vec::new(),
            });
        } else if let Some(hour) = hours.last_mut() {
            hour.counts
                .extend(readable(std::slice::from_ref(row), state_count));
        }
    }
    Ok(hours)
}

#[async_trait]
impl FleetView for Store {
    async fn fleet_list(
        &self,
        request: &ListRequest<'_>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        let (plan, limit) = (request.filter.plan(request.now), limit.clamp(1, MAX_PAGE));
        let mut session = self.database.read("list domains").await?;
        // Most pages are full after few records.
        let mut page = list(&mut session, &plan, request, limit, FIRST_WINDOW).await?;
        let left = limit.saturating_sub(u32::try_from(page.domains.len()).unwrap_or(limit));
        if left == 0 || page.next.is_none() {
            return Ok(page);
        }
        let request = ListRequest {
            after: page.next.take(),
            ..*request
        };
        let rest = WINDOW - FIRST_WINDOW;
        let more = list(&mut session, &plan, &request, left, rest).await?;
        page.domains.extend(more.domains);
        page.next = more.next;
        Ok(page)
    }

    async fn fleet_count(
        &self,
        request: &ListRequest<'_>,
        by_tenant: bool,
    ) -> Result<CountPart, StoreError> {
        let plan = request.filter.plan(request.now);
        let of = of_order(plan.order);
        // The index has all that is asked for.
        let counts_states = plan.order == ListOrder::State && !plan.passes_over && !by_tenant;
        let mut session = self.database.read("count domains").await?;
        let mut counted = CountPart::default();
        for range in &plan.ranges {
            let Some(range) = rest(range, request.after.as_ref()) else {
                continue;
            };
            let part = window(&mut session, (plan.order, of), request, range, WINDOW).await?;
            let rows = if counts_states {
                let args = bounds(&part.range);
                session.fetch_all(COUNT_STATES, args).await?
            } else {
                let mut args = conditions(request.filter, request.now);
                args.extend(args![u32::from(by_tenant)]);
                args.extend(bounds(&part.range));
                session.fetch_all(of.count, args).await?
            };
            counted.groups.extend(readable(&rows, group));
            if part.continues {
                counted.next = Some(part.range.upper);
                return Ok(counted);
            }
        }
        Ok(counted)
    }

    async fn fleet_tenants(&self, after: &str, limit: u32) -> Result<TenantPage, StoreError> {
        let mut session = self.database.read("list tenants").await?;
        tenants::page(&mut session, after, limit.clamp(1, MAX_PAGE)).await
    }

    async fn fleet_recount(&self) -> Result<Vec<StateCount>, StoreError> {
        let mut session = self.database.read("count the fleet").await?;
        let rows = session.fetch_all(RECOUNT, Vec::new()).await?;
        let mut counts = readable(&rows, state_count);
        counts.sort_unstable();
        Ok(counts)
    }

    async fn fleet_counts_store(&self, now: Timestamp) -> Result<(), StoreError> {
        let hour = now.unix_micros().div_euclid(HOUR_MICROS) * HOUR_MICROS;
        let mut session = self.database.write("keep the fleet's counts").await?;
        write_missing_states(&mut session).await?;
        session.execute(DELETE_HOUR, args![hour]).await?;
        session.execute(STORE_HOUR, args![hour, now]).await?;
        session.commit().await
    }

    async fn fleet_counts(&self) -> Result<Option<FleetCounts>, StoreError> {
        let mut session = self.database.read("read the fleet's counts").await?;
        let rows = session.fetch_all(SELECT_NEWEST, Vec::new()).await?;
        Ok(hours(&rows)?.pop())
    }

    async fn fleet_counts_since(&self, from: Timestamp) -> Result<Vec<FleetCounts>, StoreError> {
        let mut session = self
            .database
            .read("read the fleet's earlier counts")
            .await?;
        let rows = session.fetch_all(SELECT_SINCE, args![from]).await?;
        hours(&rows)
    }
}
