//! The statements of leases on records.

use crate::domains::row::{assignments, columns, queue};
use crate::sql::{Sql, statements};
use crate::term::lease_now;

/// The numbers from 0 to the given one, as `shards`.
macro_rules! shards {
    ($last:literal) => {
        concat!(
            "WITH RECURSIVE shards (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < ",
            $last,
            ") "
        )
    };
}

/// The shards in the order of their turns: the fewest leased records first, then from `$7` on.
/// `first_half` is the queue of the shard that comes first: the one with fewer leased records.
/// Among equals, the shard's bit in `$9` names it. An index holds the leased records alone.
macro_rules! turns {
    ($lease_now:expr) => {
        concat!(
            shards!("63"), ", held AS (SELECT tenant_shard AS queue, COUNT(*) AS leased FROM custom_domains \
             WHERE lane = $1 AND lease_expires_at IS NOT NULL AND lease_expires_at > ", $lease_now, " GROUP BY tenant_shard), \
             places AS (SELECT shard AS place, CAST((shard + $7) % 64 AS INTEGER) AS shard FROM shards), \
             counted AS (SELECT place, places.shard, COALESCE(few.leased, 0) AS few, COALESCE(crowd.leased, 0) AS crowd FROM places \
             LEFT JOIN held AS few ON few.queue = places.shard LEFT JOIN held AS crowd ON crowd.queue = places.shard + 64), \
             turns AS (SELECT shard, few + crowd AS leased, CASE WHEN crowd < few THEN 1 WHEN crowd > few THEN 0 \
             ELSE (CAST($9 AS BIGINT) >> shard) & 1 END AS first_half FROM counted ORDER BY few + crowd, place LIMIT 64) "
        )
    };
}

/// The due records of one queue that are not leased. The caller's clock says whether a record is
/// due; the lease clock says whether a lease has ended.
macro_rules! due_in_queue {
    ($lease_now:expr) => {
        concat!(
            "SELECT id FROM custom_domains WHERE lane = $1 AND tenant_shard = turns.shard \
             + 64 * ((half + turns.first_half) & 1) AND acquirable_at <= $2 \
             AND (lease_expires_at IS NULL OR lease_expires_at <= ",
            $lease_now,
            ") ORDER BY acquirable_at LIMIT $8"
        )
    };
}

/// The number of records to take of the shard: `$8`, less its leased records if `$10` is 1.
macro_rules! allowed {
    () => {
        "$8 - CAST($10 AS BIGINT) * turns.leased"
    };
}

statements! {
    /// Leases up to `$3` due records, shard after shard. A row is locked when it is taken, not
    /// before. PostgreSQL skips rows that others are taking. SQLite has one writer, which holds the
    /// lock since BEGIN IMMEDIATE.
    ///
    /// `$1` lane, `$2` due until, `$3` limit, `$4` token, `$5` term in µs, `$6` lease clock (NULL:
    /// the server's). `$7` first shard, `$8` records per shard, `$9` a bit per shard for the first
    /// queue, `$10` 1 to subtract leased records.
    pub(super) ACQUIRE = Sql::each(
        concat!(
            "UPDATE custom_domains SET lease_token = $4, lease_expires_at = ", lease_now!("$6"), " + $5, attempt = attempt + 1 \
             WHERE id = ANY (ARRAY(", turns!(lease_now!("$6")), "SELECT taken.id FROM turns CROSS JOIN LATERAL (\
             SELECT due.id FROM (VALUES (0), (1)) AS halves (half) CROSS JOIN LATERAL (",
            due_in_queue!(lease_now!("$6")), " FOR UPDATE SKIP LOCKED) AS due LIMIT GREATEST(", allowed!(), ", 0)) AS taken \
             LIMIT $3)) \
             RETURNING tenant_shard, ", columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET lease_token = $4, lease_expires_at = $6 + $5, attempt = attempt + 1 \
             WHERE id IN (", turns!("$6"), "SELECT taken.value FROM turns CROSS JOIN json_each((\
             SELECT json_group_array(id) FROM (SELECT due.value AS id FROM (SELECT 0 AS half UNION ALL SELECT 1) \
             CROSS JOIN json_each((SELECT json_group_array(id) FROM (", due_in_queue!("$6"), "))) AS due LIMIT $8))) \
             AS taken WHERE taken.key < ", allowed!(), " LIMIT $3) \
             RETURNING tenant_shard, ", columns!(),
        ),
    );
    pub(super) WAITING = Sql::both(
        "SELECT COUNT(*) AS waiting FROM (SELECT lane FROM custom_domains WHERE lane = $1 LIMIT $2) AS queue",
    );
    pub(super) NEXT_DUE = Sql::both(concat!(
        shards!("127"), "SELECT MIN((SELECT acquirable_at FROM custom_domains WHERE lane = $1 AND tenant_shard = shard \
         AND acquirable_at IS NOT NULL ORDER BY acquirable_at LIMIT 1)) AS at FROM shards",
    ));
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
    pub(super) COMPLETE = Sql::both(concat!(
        "UPDATE custom_domains SET ", assignments!(), ", lease_token = NULL, lease_expires_at = NULL \
         WHERE id = $1 AND lease_token = $2",
    ));
    pub(super) COMPLETE_AND_EXTEND = Sql::each(
        concat!(
            "UPDATE custom_domains SET ", assignments!(), ", lease_token = $21, lease_expires_at = ", lease_now!("$23"), " + $22 \
             WHERE id = $1 AND lease_token = $2 RETURNING ", columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET ", assignments!(), ", lease_token = $21, lease_expires_at = $23 + $22 \
             WHERE id = $1 AND lease_token = $2 RETURNING ", columns!(),
        ),
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

/// The statement that acquires due records, for the benchmark.
#[cfg(feature = "bench")]
pub const ACQUIRE_STATEMENT: Sql = ACQUIRE;
