-- The work record of each custom domain, which says what happens next and when.
CREATE TABLE custom_domains (
    -- The Cabinet's id, a UUID in lower-case text (identifiers are text on every database).
    id TEXT PRIMARY KEY,
    -- Whose it is.
    tenant_id TEXT NOT NULL,
    -- The name we check, probe and certify, in A-labels. Not unique: a name may come back under a new id.
    hostname TEXT NOT NULL,
    -- Where its CNAME must point.
    cname_target TEXT NOT NULL,
    -- Where it stands, as JSON.
    phase TEXT NOT NULL,
    -- The worker that steps it; NULL while there is nothing to do. Follows from the phase.
    lane TEXT,
    -- Attempts since the last progress.
    attempt INTEGER NOT NULL,
    -- When it is due (microseconds since 1970, as every moment here); NULL rests until somebody asks.
    next_attempt_at INTEGER,
    -- Proof of the running lease; NULL when nobody holds the record.
    lease_token TEXT,
    -- When others may take over.
    lease_expires_at INTEGER,
    -- When it can be acquired: when due, or when the running lease ends. Held records leave the head of the queue this way.
    acquirable_at INTEGER GENERATED ALWAYS AS (
        CASE
            WHEN next_attempt_at IS NULL THEN NULL
            WHEN lease_expires_at > next_attempt_at THEN lease_expires_at
            ELSE next_attempt_at
        END
    ) STORED,
    -- Since when the customer's side is waited for.
    pending_since INTEGER NOT NULL,
    -- Failed validations at the CA in a row.
    failed_validations INTEGER NOT NULL,
    -- Before this moment no order is placed for the name.
    order_not_before INTEGER NOT NULL,
    -- What went wrong last, as JSON; NULL after progress.
    last_failure TEXT,
    -- End of validity of the certificate that the edges serve; NULL while none is served. Follows from the phase.
    serving_not_after INTEGER,
    -- The Cabinet's version of the domain, for If-Match.
    cabinet_version INTEGER NOT NULL,
    -- Counts writes of the record.
    revision INTEGER NOT NULL,
    -- When the record was made.
    created_at INTEGER NOT NULL,
    -- When it was last written.
    updated_at INTEGER NOT NULL
) STRICT;

-- What is due in a lane, and when the next one is.
CREATE INDEX custom_domains_due ON custom_domains (lane, acquirable_at);
-- Who holds a hostname, and lists for people.
CREATE INDEX custom_domains_hostname ON custom_domains (hostname, created_at);
-- The soonest expiry among served certificates.
CREATE INDEX custom_domains_serving_not_after ON custom_domains (serving_not_after);
