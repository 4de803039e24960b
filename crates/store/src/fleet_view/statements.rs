//! The statements of lists and counts. Each order has three, of the same shape.

use dps_domain::fleet::ListOrder;

use crate::domains::row::columns;
use crate::sql::{Sql, statements};

/// The statements of one order.
pub(super) struct Statements {
    /// The last place of a window: `$1` rows before it, then the ends of the range. In the order of
    /// a tenant, `$2` is the tenant.
    pub(super) end: Sql,
    /// A page: `$1` to `$12` are the filter, `$13` the number of rows, then the ends of the range.
    pub(super) page: Sql,
    /// A count: as a page, but `$13` is 1 to count by tenant.
    pub(super) count: Sql,
}

/// The parts of a filter. Each accepts every record if it is empty or `NULL`.
macro_rules! conditions {
    () => {
        "($1 = '' OR record.status = $1) AND ($2 = '' OR record.failure_code = $2) \
         AND ($3 = '' OR record.actor = $3) AND ($4 = '' OR record.tenant_id = $4) \
         AND record.hostname_reversed >= $5 AND record.hostname_reversed < $6 \
         AND record.hostname >= $7 AND record.hostname < $8 AND record.hostname LIKE $9 ESCAPE '!' \
         AND (CAST($10 AS BIGINT) IS NULL OR (record.moved_away_since IS NULL AND record.serving_not_after <= $10)) \
         AND ($11 = '' OR $11 = CASE WHEN record.serving_certificate_id IS NULL THEN '' \
         WHEN record.serving_certificate_id = (SELECT certificate_id FROM edge_deployments \
         WHERE domain_id = record.id AND edge = $12) THEN 'serving' ELSE 'pending' END)"
    };
}

/// The record of a place on PostgreSQL. The limit makes it read the record by its key, however many
/// places the planner expects.
macro_rules! record_of_place {
    () => {
        " AS place CROSS JOIN LATERAL (SELECT * FROM custom_domains WHERE id = place.domain_id LIMIT 1) AS record"
    };
}
pub(crate) use record_of_place;

// Each order has the table of its places, the join with their records on either database, and the
// columns of a place. Its ranges begin after `$1` (`$2` for a tenant) in the statement for the end
// of a window, and after `$13` in the others.

macro_rules! by_name {
    (places) => {
        "custom_domains AS place"
    };
    (postgres) => {
        "custom_domains AS record"
    };
    (sqlite) => {
        by_name!(postgres)
    };
    (end) => {
        "place.hostname AS place_name, place.id AS place_id"
    };
    (place) => {
        "record.hostname AS place_name, record.id AS place_id"
    };
    (end_order) => {
        "place.hostname, place.id"
    };
    (order) => {
        "record.hostname, record.id"
    };
    (window) => {
        "(place.hostname, place.id) > ($2, $3) AND (place.hostname, place.id) <= ($4, $5)"
    };
    (range) => {
        "(record.hostname, record.id) > ($14, $15) AND (record.hostname, record.id) <= ($16, $17)"
    };
}

/// Names of served domains alone, as the index holds.
macro_rules! by_served_name {
    (window) => {
        concat!(
            "place.serving_certificate_id IS NOT NULL AND ",
            by_name!(window)
        )
    };
    (range) => {
        concat!(
            "record.serving_certificate_id IS NOT NULL AND ",
            by_name!(range)
        )
    };
    ($part:ident) => {
        by_name!($part)
    };
}

macro_rules! by_expiry {
    (places) => {
        "custom_domains AS place"
    };
    (postgres) => {
        "custom_domains AS record"
    };
    (sqlite) => {
        by_expiry!(postgres)
    };
    (end) => {
        "place.serving_not_after AS place_at, place.hostname AS place_name, place.id AS place_id"
    };
    (place) => {
        "record.serving_not_after AS place_at, record.hostname AS place_name, record.id AS place_id"
    };
    (end_order) => {
        "place.serving_not_after, place.hostname, place.id"
    };
    (order) => {
        "record.serving_not_after, record.hostname, record.id"
    };
    (window) => {
        "place.moved_away_since IS NULL AND place.serving_not_after IS NOT NULL \
         AND (place.serving_not_after, place.hostname, place.id) > ($2, $3, $4) \
         AND (place.serving_not_after, place.hostname, place.id) <= ($5, $6, $7)"
    };
    (range) => {
        "record.moved_away_since IS NULL AND record.serving_not_after IS NOT NULL \
         AND (record.serving_not_after, record.hostname, record.id) > ($14, $15, $16) \
         AND (record.serving_not_after, record.hostname, record.id) <= ($17, $18, $19)"
    };
}

macro_rules! by_tenant {
    (places) => { "domain_names AS place" };
    (postgres) => { concat!("domain_names", record_of_place!()) };
    (sqlite) => { "domain_names AS place CROSS JOIN custom_domains AS record ON record.id = place.domain_id" };
    (end) => { "place.name AS place_name, place.domain_id AS place_id" };
    (place) => { by_tenant!(end) };
    (end_order) => { "place.name, place.domain_id" };
    (order) => { by_tenant!(end_order) };
    (window) => {
        "place.tenant = $2 AND (place.name, place.domain_id) > ($3, $4) AND (place.name, place.domain_id) <= ($5, $6)"
    };
    (range) => {
        "place.tenant = $4 AND (place.name, place.domain_id) > ($14, $15) AND (place.name, place.domain_id) <= ($16, $17)"
    };
}

macro_rules! by_reversed_name {
    (end) => { "place.reversed AS place_name, place.domain_id AS place_id" };
    (place) => { by_reversed_name!(end) };
    (end_order) => { "place.reversed, place.domain_id" };
    (order) => { by_reversed_name!(end_order) };
    (window) => {
        "(place.reversed, place.domain_id) > ($2, $3) AND (place.reversed, place.domain_id) <= ($4, $5)"
    };
    (range) => {
        "(place.reversed, place.domain_id) > ($14, $15) AND (place.reversed, place.domain_id) <= ($16, $17)"
    };
    ($part:ident) => { by_tenant!($part) };
}

macro_rules! by_state {
    (places) => { "domain_states AS place" };
    (postgres) => { concat!("domain_states", record_of_place!()) };
    (sqlite) => { "domain_states AS place CROSS JOIN custom_domains AS record ON record.id = place.domain_id" };
    (end) => {
        "place.status AS place_status, place.actor AS place_actor, place.failure_code AS place_code, \
         place.name AS place_name, place.domain_id AS place_id"
    };
    (place) => { by_state!(end) };
    (end_order) => { "place.status, place.actor, place.failure_code, place.name, place.domain_id" };
    (order) => { by_state!(end_order) };
    (window) => {
        "(place.status, place.actor, place.failure_code, place.name, place.domain_id) > ($2, $3, $4, $5, $6) \
         AND (place.status, place.actor, place.failure_code, place.name, place.domain_id) <= ($7, $8, $9, $10, $11)"
    };
    (range) => {
        "(place.status, place.actor, place.failure_code, place.name, place.domain_id) > ($14, $15, $16, $17, $18) \
         AND (place.status, place.actor, place.failure_code, place.name, place.domain_id) <= ($19, $20, $21, $22, $23)"
    };
}

macro_rules! end {
    ($by:ident) => {
        Sql::both(concat!(
            "SELECT ",
            $by!(end),
            " FROM ",
            $by!(places),
            " WHERE ",
            $by!(window),
            " ORDER BY ",
            $by!(end_order),
            " LIMIT 1 OFFSET $1",
        ))
    };
}

macro_rules! page {
    ($by:ident) => { Sql::each(page!($by postgres), page!($by sqlite)) };
    ($by:ident $database:ident) => {
        concat!(
            "SELECT ", columns!(), ", record.status_since, ", $by!(place), " FROM ", $by!($database),
            " WHERE ", $by!(range), " AND ", conditions!(), " ORDER BY ", $by!(order), " LIMIT $13",
        )
    };
}

macro_rules! count {
    ($by:ident) => { Sql::each(count!($by postgres), count!($by sqlite)) };
    ($by:ident $database:ident) => {
        concat!(
            "SELECT status, actor, failure_code, tenant, COUNT(*) AS domains FROM (\
             SELECT record.status AS status, record.actor AS actor, record.failure_code AS failure_code, \
             CASE WHEN CAST($13 AS BIGINT) = 1 THEN record.tenant_id ELSE '' END AS tenant FROM ", $by!($database),
            " WHERE ", $by!(range), " AND ", conditions!(), ") AS found GROUP BY status, actor, failure_code, tenant",
        )
    };
}

macro_rules! tenants_count {
    ($database:ident) => {
        concat!(
            "SELECT status, actor, failure_code, tenant, COUNT(*) AS domains FROM (\
             SELECT record.status AS status, record.actor AS actor, record.failure_code AS failure_code, \
             place.tenant AS tenant FROM ",
            by_tenant!($database),
            " WHERE (place.tenant, place.name, place.domain_id) > ($1, '~', '~') \
             AND (place.tenant, place.name, place.domain_id) < ($2, $3, $4)) AS found \
             GROUP BY status, actor, failure_code, tenant",
        )
    };
}

statements! {
    NAME_END = end!(by_name);
    NAME_PAGE = page!(by_name);
    NAME_COUNT = count!(by_name);
    TENANT_END = end!(by_tenant);
    TENANT_PAGE = page!(by_tenant);
    TENANT_COUNT = count!(by_tenant);
    REVERSED_END = end!(by_reversed_name);
    REVERSED_PAGE = page!(by_reversed_name);
    REVERSED_COUNT = count!(by_reversed_name);
    STATE_END = end!(by_state);
    STATE_PAGE = page!(by_state);
    STATE_COUNT = count!(by_state);
    /// A count of the states in a range, which no record must be read for. `$1` to `$10` are the
    /// ends of the range.
    pub(super) COUNT_STATES = Sql::both(
        "SELECT status, actor, failure_code, '' AS tenant, COUNT(*) AS domains FROM domain_states AS place \
         WHERE (status, actor, failure_code, name, domain_id) > ($1, $2, $3, $4, $5) \
         AND (status, actor, failure_code, name, domain_id) <= ($6, $7, $8, $9, $10) \
         GROUP BY status, actor, failure_code",
    );
    EXPIRY_END = end!(by_expiry);
    EXPIRY_PAGE = page!(by_expiry);
    EXPIRY_COUNT = count!(by_expiry);
    SERVED_END = end!(by_served_name);
    SERVED_PAGE = page!(by_served_name);
    SERVED_COUNT = count!(by_served_name);
    /// The next tenants, each by one search of the index.
    pub(super) TENANTS = Sql::both(
        "WITH RECURSIVE found (tenant, number) AS (\
         SELECT (SELECT MIN(tenant) FROM domain_names WHERE tenant > $1), CAST(1 AS BIGINT) UNION ALL \
         SELECT (SELECT MIN(tenant) FROM domain_names WHERE tenant > found.tenant), number + 1 FROM found \
         WHERE found.tenant IS NOT NULL AND number < $2) SELECT tenant FROM found WHERE tenant IS NOT NULL",
    );
    /// The first place of the tenants from after `$1` to `$2` that is beyond `$3` rows.
    pub(super) TENANTS_END = Sql::both(
        "SELECT tenant, name AS place_name, domain_id AS place_id FROM domain_names AS place \
         WHERE (tenant, name, domain_id) > ($1, '~', '~') AND (tenant, name, domain_id) <= ($2, '~', '~') \
         ORDER BY tenant, name, domain_id LIMIT 1 OFFSET $3",
    );
    /// The domains of the tenants after `$1`, before a place.
    pub(super) TENANTS_COUNT = Sql::each(tenants_count!(postgres), tenants_count!(sqlite));
    pub(super) RECOUNT = Sql::both(
        "SELECT status, actor, failure_code, COUNT(*) AS domains FROM domain_states \
         WHERE status <> '' GROUP BY status, actor, failure_code",
    );
    /// Records that a replica of an earlier version took in. It writes no state.
    pub(super) SELECT_STATELESS = Sql::both(concat!(
        "SELECT ", columns!(), " FROM custom_domains AS record \
         WHERE id IN (SELECT domain_id FROM domain_states WHERE status = '' LIMIT $1)",
    ));
    pub(super) SET_STATE = Sql::both(
        "UPDATE custom_domains SET status = $2, failure_code = $3, actor = $4, status_since = $5, hostname_reversed = $6 \
         WHERE id = $1 AND revision = $7 AND status = ''",
    );
    pub(super) DELETE_HOUR = Sql::both("DELETE FROM fleet_counts WHERE hour = $1");
    /// With a row that says that the hour was counted, also when there is no domain.
    pub(super) STORE_HOUR = Sql::both(
        "INSERT INTO fleet_counts (hour, counted_at, status, actor, failure_code, domains) \
         SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), status, actor, failure_code, COUNT(*) FROM domain_states \
         WHERE status <> '' GROUP BY status, actor, failure_code UNION ALL SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), '', '', '', 0",
    );
    pub(super) SELECT_NEWEST = Sql::both(
        "SELECT hour, counted_at, status, actor, failure_code, domains FROM fleet_counts \
         WHERE hour = (SELECT MAX(hour) FROM fleet_counts) ORDER BY hour, status, actor, failure_code",
    );
    pub(super) SELECT_SINCE = Sql::both(
        "SELECT hour, counted_at, status, actor, failure_code, domains FROM fleet_counts \
         WHERE hour >= $1 ORDER BY hour, status, actor, failure_code",
    );
}

const NAME: Statements = Statements {
    end: NAME_END,
    page: NAME_PAGE,
    count: NAME_COUNT,
};
const TENANT: Statements = Statements {
    end: TENANT_END,
    page: TENANT_PAGE,
    count: TENANT_COUNT,
};
const REVERSED: Statements = Statements {
    end: REVERSED_END,
    page: REVERSED_PAGE,
    count: REVERSED_COUNT,
};
const STATE: Statements = Statements {
    end: STATE_END,
    page: STATE_PAGE,
    count: STATE_COUNT,
};
const EXPIRY: Statements = Statements {
    end: EXPIRY_END,
    page: EXPIRY_PAGE,
    count: EXPIRY_COUNT,
};
const SERVED: Statements = Statements {
    end: SERVED_END,
    page: SERVED_PAGE,
    count: SERVED_COUNT,
};

/// The statements of an order.
pub(super) const fn of_order(order: ListOrder) -> &'static Statements {
    match order {
        ListOrder::Name => &NAME,
        ListOrder::Tenant => &TENANT,
        ListOrder::Reversed => &REVERSED,
        ListOrder::State => &STATE,
        ListOrder::Expiry => &EXPIRY,
        ListOrder::Served => &SERVED,
    }
}
