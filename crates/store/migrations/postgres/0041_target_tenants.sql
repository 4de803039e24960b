-- The tenants of targets. A chain through a target proves a name for its tenant alone, also after its
-- domain was forgotten.

CREATE TABLE target_tenants (
    -- The target, lower case and in A-labels. It is public in DNS.
    target TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The tenant whose domains have or had it; NULL: domains of several had it.
    tenant_id TEXT,
    -- When a domain of that tenant was last seen to have it.
    noted_at BIGINT NOT NULL
);

CREATE INDEX target_tenants_noted_at ON target_tenants (noted_at);

INSERT INTO target_tenants (target, tenant_id, noted_at)
SELECT cname_target, CASE WHEN MIN(tenant_id) = MAX(tenant_id) THEN MIN(tenant_id) END, MAX(updated_at)
FROM custom_domains
WHERE cname_target NOT LIKE '%.invalid'
GROUP BY cname_target;
