-- What happened to a domain, what the Cabinet is still to be told, and positions in feeds.
CREATE TABLE domain_events (
    -- The domain.
    domain_id TEXT NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- Counts the domain's events; the oldest are pruned.
    seq INTEGER NOT NULL,
    -- When.
    at INTEGER NOT NULL,
    -- What, as a stable word.
    kind TEXT NOT NULL,
    -- The phase's name after it.
    phase TEXT NOT NULL,
    -- Evidence, as JSON; never a key.
    detail TEXT NOT NULL,
    -- How long the step took; NULL if nothing was timed.
    duration_micros INTEGER,
    PRIMARY KEY (domain_id, seq)
) STRICT;

CREATE TABLE outbox (
    -- Orders the reports; never reused.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The domain that is reported.
    domain_id TEXT NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- What to tell, as JSON.
    report TEXT NOT NULL,
    -- Tries so far.
    attempt INTEGER NOT NULL,
    -- When it is due; NULL while an older report of the domain is still there.
    next_attempt_at INTEGER,
    -- Proof of the running lease; NULL when nobody holds the report.
    lease_token TEXT,
    -- When others may take over.
    lease_expires_at INTEGER,
    -- When it can be acquired: when due, or when the running lease ends.
    acquirable_at INTEGER GENERATED ALWAYS AS (
        CASE
            WHEN next_attempt_at IS NULL THEN NULL
            WHEN lease_expires_at > next_attempt_at THEN lease_expires_at
            ELSE next_attempt_at
        END
    ) STORED,
    -- When it was put here.
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_due ON outbox (acquirable_at);
CREATE INDEX outbox_domain ON outbox (domain_id, id);

CREATE TABLE cursors (
    -- What is followed.
    name TEXT PRIMARY KEY,
    -- The position, opaque.
    value TEXT NOT NULL
) STRICT;
