-- The fleet: how each edge has been answering, what it should hold, and what it was last seen to lack.

CREATE TABLE edges (
    -- The agent's base URL.
    name TEXT PRIMARY KEY,
    -- Since when it does not do what it is asked; NULL while all is well.
    unreachable_since INTEGER,
    -- When it answered again after that; it is on probation then.
    answered_again_at INTEGER,
    -- Before this moment it is not believed that it is well.
    doubted_until INTEGER,
    -- What went wrong last; NULL while all is well.
    problem TEXT,
    -- When it was last compared with what it should hold; NULL before the first time.
    compared_at INTEGER,
    -- Certificates that it should have held then.
    certificates INTEGER,
    -- Of these, those that it would not take.
    behind INTEGER,
    -- Certificates that it held and that nothing is known of.
    unknown INTEGER,
    -- When it was first in the fleet.
    first_seen_at INTEGER NOT NULL,
    -- When it was last noted to be in the fleet.
    listed_at INTEGER NOT NULL
) STRICT;

-- The certificate that every edge should hold; NULL while none is served. Follows from the phase.
ALTER TABLE custom_domains ADD COLUMN serving_certificate_id TEXT;
UPDATE custom_domains SET serving_certificate_id = (
    SELECT certificates.id FROM certificates
    WHERE certificates.domain_id = custom_domains.id AND certificates.not_after = custom_domains.serving_not_after
    ORDER BY certificates.generation DESC LIMIT 1
) WHERE serving_not_after IS NOT NULL;
-- What every edge should hold, in the order in which edges list what they hold.
CREATE INDEX custom_domains_serving ON custom_domains (hostname) WHERE serving_certificate_id IS NOT NULL;

-- Orders the certificates of one hostname; 0 for deployments of an earlier version.
ALTER TABLE edge_deployments ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- What is forgotten with an edge.
CREATE INDEX edge_deployments_edge ON edge_deployments (edge, domain_id);
