//! The statements of leases on records.

use crate::domains::row::{assignments, columns, has_state, state_assignments, tokens_held};
use crate::sql::{Sql, statements};
use crate::term::lease_now;

/// The second queues that have records, and NULL after the last, for a table `$name` of `queue`.
macro_rules! crowds {
    ($name:literal) => {
        concat!(
            "SELECT MIN(tenant_shard) FROM custom_domains WHERE lane = $1 AND tenant_shard >= 64 \
             UNION ALL SELECT (SELECT MIN(tenant_shard) FROM custom_domains WHERE lane = $1 AND tenant_shard > queue) FROM ",
            $name, " WHERE queue IS NOT NULL"
        )
    };
}

/// The shards in the order of their turns: the fewest leased records first, then from `$7` on.
/// `first_half` is the queue of the shard that comes first: the one with fewer leased records.
/// Among equals, the shard's bit in `$9` names it. `crowd` is the second queue, if it has records.
///
/// `$shards` are the numbers of all shards, as `shard`. An index holds the leased records alone; a
/// limit makes the database read it in order, so that it forgets the records that ended.
macro_rules! turns {
    ($shards:expr, $lease_now:expr) => {
        concat!(
            "WITH RECURSIVE crowds (queue) AS (", crowds!("crowds"), "), \
             shards (shard) AS (", $shards, "), \
             leases AS (SELECT tenant_shard, lease_expires_at FROM custom_domains WHERE lane = $1 AND lease_expires_at IS NOT NULL \
             ORDER BY tenant_shard, lease_expires_at LIMIT 100000), \
             parts (shard, crowd, leased, few) AS (SELECT shard, CAST(NULL AS BIGINT), 0, 0 FROM shards \
             UNION ALL SELECT queue - 64, queue, 0, 0 FROM crowds WHERE queue IS NOT NULL \
             UNION ALL SELECT tenant_shard % 64, NULL, 1, CASE WHEN tenant_shard < 64 THEN 1 ELSE -1 END \
             FROM leases WHERE lease_expires_at > ", $lease_now, "), \
             turns AS (SELECT shard, MAX(crowd) AS crowd, SUM(leased) AS leased, CASE WHEN MAX(crowd) IS NULL THEN 0 \
             WHEN SUM(few) > 0 THEN 1 WHEN SUM(few) < 0 THEN 0 ELSE (CAST($9 AS BIGINT) >> CAST(shard AS INTEGER)) & 1 END AS first_half \
             FROM parts GROUP BY shard ORDER BY SUM(leased), (shard - $7 + 64) % 64 LIMIT 64) "
        )
    };
}

/// The due records of a shard that are not leased, those of its first queue in turn before the
/// others. The caller's clock says whether a record is due; the lease clock says whether a lease
/// has ended. `$lock` ends the reading of a queue, of which `$limit` records are read.
macro_rules! due_in_shard {
    ($lease_now:expr, $limit:literal, $lock:literal) => {
        concat!(
            "SELECT id FROM (SELECT id FROM custom_domains WHERE lane = $1 AND tenant_shard = turns.shard + 64 * turns.first_half \
             AND acquirable_at <= $2 AND (lease_expires_at IS NULL OR lease_expires_at <= ",
            $lease_now, ") ORDER BY acquirable_at LIMIT ", $limit, $lock, ") AS first UNION ALL \
             SELECT id FROM (SELECT id FROM custom_domains WHERE turns.crowd IS NOT NULL \
             AND lane = $1 AND tenant_shard = turns.shard + 64 * (1 - turns.first_half) \
             AND acquirable_at <= $2 AND (lease_expires_at IS NULL OR lease_expires_at <= ",
            $lease_now, ") ORDER BY acquirable_at LIMIT ", $limit, $lock, ") AS second"
        )
    };
}

/// The number of records to take of the shard: `$8`, less its leased records if `$10` is 1.
macro_rules! allowed {
    () => {
        "$8 - CAST($10 AS BIGINT) * turns.leased"
    };
}

/// The statement that leases due records, of which it reads `$limit` of each queue.
macro_rules! acquire {
    ($limit:literal) => {
        Sql::each(
            concat!(
                "UPDATE custom_domains SET lease_token = $4, lease_expires_at = ", lease_now!("$6"), " + $5, attempt = attempt + 1 \
                 WHERE id = ANY (ARRAY(", turns!("SELECT generate_series(0, 63)", lease_now!("$6")),
                "SELECT taken.id FROM turns CROSS JOIN LATERAL (",
                due_in_shard!(lease_now!("$6"), $limit, " FOR UPDATE SKIP LOCKED"),
                " LIMIT GREATEST(", allowed!(), ", 0)) AS taken LIMIT $3)) RETURNING tenant_shard, ", columns!(),
            ),
            concat!(
                "UPDATE custom_domains SET lease_token = $4, lease_expires_at = $6 + $5, attempt = attempt + 1 \
                 WHERE id IN (", turns!("SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < 63", "$6"),
                "SELECT taken.value FROM turns CROSS JOIN json_each((SELECT json_group_array(id) FROM (",
                due_in_shard!("$6", $limit, ""), " LIMIT $8))) AS taken WHERE taken.key < ", allowed!(), " LIMIT $3) \
                 RETURNING tenant_shard, ", columns!(),
            ),
        )
    };
}

/// The time of the first due record in the queues of `$queues`, as `queue`.
macro_rules! first_due {
    ($queues:expr, $more:literal) => {
        concat!(
            "WITH RECURSIVE queues (queue) AS (", $queues, ") \
             SELECT MIN((SELECT acquirable_at FROM custom_domains WHERE lane = $1 AND tenant_shard = queue \
             AND acquirable_at IS NOT NULL ORDER BY acquirable_at LIMIT 1)) AS at", $more, " FROM queues"
        )
    };
}

/// As [`first_due`] for the first queues, and whether there are second ones.
macro_rules! next_due {
    ($queues:literal) => {
        first_due!(
            $queues,
            ", (SELECT MIN(tenant_shard) FROM custom_domains WHERE lane = $1 AND tenant_shard >= 64) AS crowd"
        )
    };
}

macro_rules! complete {
    ($($state:ident)?) => {
        concat!(
            "UPDATE custom_domains SET ",
            written!($($state)?),
            ", lease_token = NULL, lease_expires_at = NULL WHERE id = $1 AND lease_token = $2",
            guard!($($state)?),
        )
    };
}

macro_rules! complete_and_extend {
    ($now:expr $(, $state:ident)?) => {
        concat!(
            "UPDATE custom_domains SET ",
            written!($($state)?),
            ", lease_token = $26, lease_expires_at = ",
            $now,
            " + $27 WHERE id = $1 AND lease_token = $2",
            guard!($($state)?),
            " RETURNING ",
            columns!(),
            ", ",
            tokens_held!(),
        )
    };
}

/// The columns that an outcome sets: of a row whose state may change, also the state.
macro_rules! written {
    () => {
        concat!(state_assignments!(), ", ", assignments!())
    };
    (same_state) => {
        assignments!()
    };
}

macro_rules! guard {
    () => {
        ""
    };
    (same_state) => {
        concat!(" AND ", has_state!())
    };
}

/// A write of an outcome, in two statements.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutcomeWrite {
    /// Writes nothing if the row has another state.
    pub(super) same_state: Sql,
    /// Writes the state as well, at the cost of a trigger.
    pub(super) any_state: Sql,
}

pub(super) const COMPLETE: OutcomeWrite = OutcomeWrite {
    same_state: COMPLETE_SAME,
    any_state: COMPLETE_ANY,
};
/// Counts the tokens that the domain holds.
pub(super) const COMPLETE_AND_COUNT: OutcomeWrite = OutcomeWrite {
    same_state: COMPLETE_AND_COUNT_SAME,
    any_state: COMPLETE_AND_COUNT_ANY,
};
pub(super) const COMPLETE_AND_EXTEND: OutcomeWrite = OutcomeWrite {
    same_state: COMPLETE_AND_EXTEND_SAME,
    any_state: COMPLETE_AND_EXTEND_ANY,
};

statements! {
    /// Leases up to `$3` due records, shard after shard. A row is locked when it is taken, not
    /// before. PostgreSQL skips rows that others are taking. SQLite has one writer, which holds the
    /// lock since the statement began.
    ///
    /// `$1` lane, `$2` due until, `$3` limit, `$4` token, `$5` term in µs, `$6` lease clock (NULL:
    /// the server's). `$7` first shard, `$8` records per shard, `$9` a bit per shard for the first
    /// queue, `$10` 1 to subtract leased records.
    pub(super) ACQUIRE = acquire!("$8");
    /// As [`ACQUIRE`] for one record per shard. With this number in its text, PostgreSQL plans it
    /// once for all values. Planning it for each call takes half as long as running it.
    pub(super) ACQUIRE_FIRST = acquire!("1");
    pub(super) WAITING = Sql::both(
        "SELECT COUNT(*) AS waiting FROM (SELECT lane FROM custom_domains WHERE lane = $1 LIMIT $2) AS queue",
    );
    /// Lanes have second queues seldom. To look for them here would cost a sixth more.
    pub(super) NEXT_DUE = Sql::each(
        next_due!("SELECT generate_series(0, 63)"),
        next_due!("SELECT 0 UNION ALL SELECT queue + 1 FROM queues WHERE queue < 63"),
    );
    pub(super) NEXT_DUE_OF_CROWDS = Sql::both(first_due!(crowds!("queues"), ""));
    /// Moves renewals to the urgent lane that became urgent while they waited.
    pub(super) PROMOTE = Sql::each(
        "UPDATE custom_domains SET lane = $1 WHERE id = ANY (ARRAY(SELECT id FROM custom_domains \
         WHERE lane IN ('renewal', 'recheck') AND urgent_from <= $2 \
         ORDER BY urgent_from LIMIT $3 FOR UPDATE SKIP LOCKED))",
        "UPDATE custom_domains SET lane = $1 WHERE id IN (SELECT id FROM custom_domains \
         WHERE lane IN ('renewal', 'recheck') AND urgent_from <= $2 ORDER BY urgent_from LIMIT $3)",
    );
    pub(super) NEXT_URGENT = Sql::both(
        "SELECT urgent_from AS at FROM custom_domains WHERE lane IN ('renewal', 'recheck') AND urgent_from IS NOT NULL \
         ORDER BY urgent_from LIMIT 1",
    );
    /// A lease that runs. `$2` the lease clock (on PostgreSQL, NULL to take the server's).
    pub(super) RUNNING = Sql::each(
        concat!(
            "SELECT lease_expires_at AS at, lease_token FROM custom_domains WHERE id = $1 AND lease_expires_at > ",
            lease_now!("$2"),
        ),
        "SELECT lease_expires_at AS at, lease_token FROM custom_domains WHERE id = $1 AND lease_expires_at > $2",
    );
    COMPLETE_ANY = Sql::both(complete!());
    COMPLETE_SAME = Sql::both(complete!(same_state));
    COMPLETE_AND_COUNT_ANY = Sql::both(concat!(complete!(), " RETURNING id, ", tokens_held!()));
    COMPLETE_AND_COUNT_SAME = Sql::both(concat!(complete!(same_state), " RETURNING id, ", tokens_held!()));
    COMPLETE_AND_EXTEND_ANY = Sql::each(
        complete_and_extend!(lease_now!("$28")),
        complete_and_extend!("$28"),
    );
    COMPLETE_AND_EXTEND_SAME = Sql::each(
        complete_and_extend!(lease_now!("$28"), same_state),
        complete_and_extend!("$28", same_state),
    );
    pub(super) EXTEND_AGAIN = Sql::each(
        concat!(
            "UPDATE custom_domains SET lease_expires_at = ", lease_now!("$4"), " + $3 WHERE id = $1 AND lease_token = $2 RETURNING ",
            columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET lease_expires_at = $4 + $3 WHERE id = $1 AND lease_token = $2 RETURNING ", columns!(),
        ),
    );
    pub(super) RELEASE = Sql::both(
        "UPDATE custom_domains SET lease_token = NULL, lease_expires_at = NULL, \
         attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END WHERE id = $1 AND lease_token = $2",
    );
    /// Foreign keys delete the rows that belong to the record. Its tokens are released before.
    pub(super) FORGET = Sql::both("DELETE FROM custom_domains WHERE id = $1 AND lease_token = $2");
}

/// The statements that acquire due records, for the benchmark.
#[cfg(feature = "bench")]
pub const ACQUIRE_STATEMENTS: [Sql; 2] = [ACQUIRE_FIRST, ACQUIRE];
