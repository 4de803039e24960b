-- What happened to a domain, what the Cabinet is still to be told, and positions in feeds.
CREATE TABLE domain_events (
    -- The domain.
    domain_id TEXT COLLATE "C" NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- Counts the domain's events; the oldest are pruned.
    seq BIGINT NOT NULL,
    -- When.
    at BIGINT NOT NULL,
    -- What, as a stable word.
    kind TEXT NOT NULL,
    -- The phase's name after it.
    phase TEXT NOT NULL,
    -- Evidence, as JSON; never a key.
    detail TEXT NOT NULL,
    -- How long the step took; NULL if nothing was timed.
    duration_micros BIGINT,
    PRIMARY KEY (domain_id, seq)
);

CREATE TABLE outbox (
    -- Orders the reports; never reused.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The domain that is reported.
    domain_id TEXT COLLATE "C" NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- What to tell, as JSON.
    report TEXT NOT NULL,
    -- Tries so far.
    attempt BIGINT NOT NULL,
    -- When it is due; NULL while an older report of the domain is still there.
    next_attempt_at BIGINT,
    -- Proof of the running lease; NULL when nobody holds the report.
    lease_token TEXT,
    -- When others may take over.
    lease_expires_at BIGINT,
    -- When it can be acquired: when due, or when the running lease ends.
    acquirable_at BIGINT GENERATED ALWAYS AS (
        CASE
            WHEN next_attempt_at IS NULL THEN NULL
            WHEN lease_expires_at > next_attempt_at THEN lease_expires_at
            ELSE next_attempt_at
        END
    ) STORED,
    -- When it was put here.
    created_at BIGINT NOT NULL
);

CREATE INDEX outbox_due ON outbox (acquirable_at);
CREATE INDEX outbox_domain ON outbox (domain_id, id);

CREATE TABLE cursors (
    -- What is followed.
    name TEXT COLLATE "C" PRIMARY KEY,
    -- The position, opaque.
    value TEXT NOT NULL
);
