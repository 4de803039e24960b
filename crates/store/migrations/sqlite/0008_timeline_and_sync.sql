-- Who did what in a domain's history, reports merged by status, and what keeps us and the Cabinet the same.

-- The process that acted; empty for lines of an earlier version.
ALTER TABLE domain_events ADD COLUMN replica TEXT NOT NULL DEFAULT '';
-- The oldest lines, for pruning by age.
CREATE INDEX domain_events_at ON domain_events (at);

-- The status that the report tells; empty for reports of an earlier version, which are never merged.
ALTER TABLE outbox ADD COLUMN status TEXT NOT NULL DEFAULT '';
-- How long the oldest report has been waiting.
CREATE INDEX outbox_created ON outbox (created_at);

-- Work that comes round by itself and that one replica at a time does.
CREATE TABLE chores (
    name TEXT PRIMARY KEY,
    -- When it is due.
    due_at INTEGER NOT NULL,
    -- How far it has come, opaque; NULL between two rounds.
    progress TEXT,
    -- Proof of the running lease; NULL when nobody holds it.
    lease_token TEXT,
    -- When others may take over.
    lease_expires_at INTEGER
) STRICT;

-- When the Cabinet was last seen to know each domain.
CREATE TABLE cabinet_sightings (
    domain_id TEXT PRIMARY KEY REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- The last resync that saw it; 0 before the first.
    run INTEGER NOT NULL,
    -- Since when the Cabinet says that it does not know the domain; NULL while it does.
    missing_since INTEGER
) STRICT;

-- The domains that the Cabinet does not know.
CREATE INDEX cabinet_sightings_missing ON cabinet_sightings (domain_id) WHERE missing_since IS NOT NULL;
