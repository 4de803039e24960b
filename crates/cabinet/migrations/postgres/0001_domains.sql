-- Custom domains with their place in the list and in the change feed.

-- The last position given away. Whoever writes for customers updates this row first, so positions become visible in order.
CREATE TABLE cabinet_feed (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    position BIGINT NOT NULL
);
INSERT INTO cabinet_feed (id, position) VALUES (1, 0);

CREATE TABLE cabinet_domains (
    id TEXT PRIMARY KEY,              -- UUID in its hyphenated form
    tenant_id TEXT NOT NULL,
    hostname TEXT NOT NULL,           -- as typed
    canonical_host TEXT NOT NULL,     -- lower case A-labels
    cname_target TEXT NOT NULL,
    status TEXT NOT NULL,
    last_error_code TEXT,
    last_error_message TEXT,
    error_details TEXT,               -- JSON object
    next_attempt_at BIGINT,           -- microseconds since the Unix epoch, like every time here
    certificate_not_after BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    retried_at BIGINT,                -- when a customer last asked for a retry
    position BIGINT NOT NULL UNIQUE,        -- place in lists: order of creation
    change_position BIGINT NOT NULL UNIQUE  -- place in the change feed: order of the customer side's last change
);
-- A name has one holder at a time; a removed name is free again.
CREATE UNIQUE INDEX cabinet_domains_holder ON cabinet_domains (canonical_host) WHERE status <> 'Removed';
CREATE INDEX cabinet_domains_by_status ON cabinet_domains (status, position);
CREATE INDEX cabinet_domains_by_tenant ON cabinet_domains (tenant_id, position);
CREATE INDEX cabinet_domains_by_host ON cabinet_domains (canonical_host, position);
