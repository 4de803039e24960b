-- Token buckets that replicas share, one row per limit and subject, as a virtual schedule (GCRA).
CREATE TABLE rate_limit_buckets (
    -- The limit and what it is counted for.
    bucket TEXT PRIMARY KEY,
    -- The theoretical arrival time: the bucket is full again at this moment.
    full_at INTEGER NOT NULL
) STRICT;
