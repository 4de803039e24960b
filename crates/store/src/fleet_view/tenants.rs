//! Tenants with their domains by state.

use std::collections::BTreeMap;

use dps_application::ports::fleet_view::{TenantCount, TenantPage, WINDOW};
use dps_application::ports::store::StoreError;
use dps_domain::fleet::StateCount;

use super::statements::{TENANTS, TENANTS_COUNT, TENANTS_END};
use super::{STATES, group};
use crate::sql::{Row, Session, args, readable};

/// A text that sorts after every name and identifier.
const HIGHEST: &str = "~";

/// A page of the tenants after the given one.
pub(super) async fn page(
    session: &mut Session,
    after: &str,
    limit: u32,
) -> Result<TenantPage, StoreError> {
    // One more shows whether the list goes on.
    let rows = session.fetch_all(TENANTS, args![after, limit + 1]).await?;
    let tenant = |row: &Row| row.fields(STATES, "tenant").get::<String>("tenant");
    let mut names: Vec<String> = rows.iter().map(tenant).collect::<Result<_, _>>()?;
    let has_more = names.len() > limit as usize;
    names.truncate(limit as usize);
    let Some(last) = names.last().cloned() else {
        return Ok(TenantPage::default());
    };
    let end = session
        .fetch(TENANTS_END, args![after, last.as_str(), WINDOW])
        .await?;
    let mut next = has_more.then(|| last.clone());
    let mut cut = None;
    let upper = match end {
        Some(row) => {
            let fields = row.fields(STATES, "place_id");
            let of: String = fields.get("tenant")?;
            let place: (String, String) = (fields.get("place_name")?, fields.get("place_id")?);
            // The page ends before the tenant that is cut, unless it is the first one.
            let place_in_page = names.iter().position(|name| *name == of).unwrap_or(0);
            names.truncate(place_in_page.max(1));
            next = names.last().cloned();
            cut = (place_in_page == 0).then(|| of.clone());
            args![after, of, place.0, place.1]
        }
        None => args![after, last, HIGHEST, HIGHEST],
    };
    let rows = session.fetch_all(TENANTS_COUNT, upper).await?;
    let mut counts: BTreeMap<String, Vec<StateCount>> = BTreeMap::new();
    for group in readable(&rows, group) {
        counts.entry(group.tenant).or_default().push(group.count);
    }
    let counted = names.into_iter().map(|tenant| {
        let mut counts = counts.remove(&tenant).unwrap_or_default();
        counts.sort_unstable();
        TenantCount {
            is_complete: cut.as_ref() != Some(&tenant),
            counts,
            tenant,
        }
    });
    Ok(TenantPage {
        tenants: counted.collect(),
        next,
    })
}
