-- The fleet can be asked: the state of each record in columns, and where records are found by state, tenant and suffix.

-- The status that the Cabinet gets. Follows from the phase.
ALTER TABLE custom_domains ADD COLUMN status TEXT NOT NULL DEFAULT '';
-- The code of the last failure; empty for none. Follows from the last failure.
ALTER TABLE custom_domains ADD COLUMN failure_code TEXT NOT NULL DEFAULT '';
-- Who must act; empty for nobody. Follows from the last failure.
ALTER TABLE custom_domains ADD COLUMN actor TEXT NOT NULL DEFAULT '';
-- When the status last changed. For rows of earlier versions, when they were last written.
ALTER TABLE custom_domains ADD COLUMN status_since INTEGER NOT NULL DEFAULT 0;
-- The labels of the hostname in reverse, each with a dot after it. Follows from the hostname.
ALTER TABLE custom_domains ADD COLUMN hostname_reversed TEXT NOT NULL DEFAULT '';

UPDATE custom_domains
SET
    status = CASE
        WHEN substr(phase, 1, 9) = '{"live":{' THEN 'Active'
        WHEN phase = '{"onboarding":"awaitingDns"}' THEN 'PendingDns'
        WHEN phase = '{"onboarding":"awaitingHttpProbe"}' THEN 'PendingHttpProbe'
        WHEN substr(phase, 1, 14) = '{"onboarding":' THEN 'Issuing'
        WHEN phase = '"leaving"' THEN 'PendingRemoval'
        WHEN phase = '"gone"' THEN 'Removed'
        ELSE 'Failed'
    END,
    failure_code = CASE
        WHEN substr(last_failure, 1, 9) = '{"code":"' THEN substr(last_failure, 10, instr(substr(last_failure, 10), '"') - 1) ELSE ''
    END,
    status_since = updated_at,
    hostname_reversed = (
        WITH RECURSIVE labels (rest, made) AS (
            SELECT hostname || '.', ''
            UNION ALL
            SELECT substr(rest, instr(rest, '.') + 1), substr(rest, 1, instr(rest, '.')) || made FROM labels WHERE rest <> ''
        )
        SELECT made FROM labels WHERE rest = ''
    );
UPDATE custom_domains
SET
    actor = CASE
        WHEN failure_code = '' THEN ''
        WHEN failure_code = 'DNS_TIMEOUT' AND last_failure LIKE '%"resolverOutage":true%' THEN 'operator'
        WHEN failure_code IN (
            'NAME_BLOCKED', 'TARGET_NOT_ALLOWED', 'ACME_PAUSED', 'ACME_ACCOUNT',
            'EDGE_UNREACHABLE', 'EDGE_REJECTED', 'EDGE_MISMATCH', 'INTERNAL'
        ) THEN 'operator'
        WHEN failure_code IN ('DNS_PROPAGATING', 'ACME_RATE_LIMITED', 'ACME_CA_UNAVAILABLE') THEN 'nobody'
        ELSE 'customer'
    END
WHERE failure_code <> '';

-- Indexes that are written when their columns change, and not with each write of a record. Triggers write them.

-- Every record by state.
CREATE TABLE domain_states (
    status TEXT NOT NULL,
    actor TEXT NOT NULL,
    failure_code TEXT NOT NULL,
    -- The hostname.
    name TEXT NOT NULL,
    domain_id TEXT NOT NULL,
    PRIMARY KEY (status, actor, failure_code, name, domain_id)
) STRICT, WITHOUT ROWID;
INSERT INTO domain_states (status, actor, failure_code, name, domain_id)
SELECT status, actor, failure_code, hostname, id FROM custom_domains;

-- Every record by tenant and by reversed hostname.
CREATE TABLE domain_names (
    tenant TEXT NOT NULL,
    -- The hostname.
    name TEXT NOT NULL,
    domain_id TEXT NOT NULL,
    -- The hostname in reverse.
    reversed TEXT NOT NULL,
    PRIMARY KEY (tenant, name, domain_id)
) STRICT, WITHOUT ROWID;
INSERT INTO domain_names (tenant, name, domain_id, reversed)
SELECT tenant_id, hostname, id, hostname_reversed FROM custom_domains;
CREATE INDEX domain_names_reversed ON domain_names (reversed, domain_id);

CREATE TRIGGER custom_domains_written AFTER INSERT ON custom_domains
BEGIN
    INSERT INTO domain_states (status, actor, failure_code, name, domain_id)
    VALUES (NEW.status, NEW.actor, NEW.failure_code, NEW.hostname, NEW.id);
    INSERT INTO domain_names (tenant, name, domain_id, reversed)
    VALUES (NEW.tenant_id, NEW.hostname, NEW.id, NEW.hostname_reversed);
END;
CREATE TRIGGER custom_domains_deleted AFTER DELETE ON custom_domains
BEGIN
    DELETE FROM domain_states
    WHERE status = OLD.status AND actor = OLD.actor AND failure_code = OLD.failure_code
    AND name = OLD.hostname AND domain_id = OLD.id;
    DELETE FROM domain_names WHERE tenant = OLD.tenant_id AND name = OLD.hostname AND domain_id = OLD.id;
END;
CREATE TRIGGER custom_domains_state_changed AFTER UPDATE OF status, actor, failure_code, hostname ON custom_domains
WHEN
    OLD.status <> NEW.status OR OLD.actor <> NEW.actor
    OR OLD.failure_code <> NEW.failure_code OR OLD.hostname <> NEW.hostname
BEGIN
    DELETE FROM domain_states
    WHERE status = OLD.status AND actor = OLD.actor AND failure_code = OLD.failure_code
    AND name = OLD.hostname AND domain_id = OLD.id;
    INSERT INTO domain_states (status, actor, failure_code, name, domain_id)
    VALUES (NEW.status, NEW.actor, NEW.failure_code, NEW.hostname, NEW.id);
END;
CREATE TRIGGER custom_domains_name_changed AFTER UPDATE OF tenant_id, hostname, hostname_reversed ON custom_domains
WHEN OLD.tenant_id <> NEW.tenant_id OR OLD.hostname <> NEW.hostname OR OLD.hostname_reversed <> NEW.hostname_reversed
BEGIN
    DELETE FROM domain_names WHERE tenant = OLD.tenant_id AND name = OLD.hostname AND domain_id = OLD.id;
    INSERT INTO domain_names (tenant, name, domain_id, reversed)
    VALUES (NEW.tenant_id, NEW.hostname, NEW.id, NEW.hostname_reversed);
END;

-- The number of records in each state, the newest count of each hour.
CREATE TABLE fleet_counts (
    -- The beginning of the hour.
    hour INTEGER NOT NULL,
    -- The status; empty in the row that says when the hour was counted.
    status TEXT NOT NULL,
    -- Who must act; empty for nobody.
    actor TEXT NOT NULL,
    -- The failure code; empty for none.
    failure_code TEXT NOT NULL,
    -- When they were counted.
    counted_at INTEGER NOT NULL,
    -- Records.
    domains INTEGER NOT NULL,
    PRIMARY KEY (hour, status, actor, failure_code)
) STRICT, WITHOUT ROWID;
