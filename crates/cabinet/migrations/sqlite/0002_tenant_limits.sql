-- Limits per tenant and period, and the pruning of removed domains.

-- Retries of the last day, to be counted per tenant. Older rows are pruned.
CREATE TABLE cabinet_retries (
    position INTEGER PRIMARY KEY,     -- the place in the change feed that the retry took
    tenant_id TEXT NOT NULL,
    retried_at INTEGER NOT NULL      -- microseconds since the Unix epoch
) STRICT;
CREATE INDEX cabinet_retries_by_tenant ON cabinet_retries (tenant_id, retried_at);
CREATE INDEX cabinet_retries_by_time ON cabinet_retries (retried_at);

-- Domains that count against Cabinet:MaxDomainsPerTenant; removed ones would make the count slow.
CREATE INDEX cabinet_domains_held ON cabinet_domains (tenant_id, status) WHERE status <> 'Removed';
-- Creations of a tenant, with those of domains that are removed by now.
CREATE INDEX cabinet_domains_created ON cabinet_domains (tenant_id, created_at);
-- Removed domains, oldest first, for pruning.
CREATE INDEX cabinet_domains_removed ON cabinet_domains (status, updated_at) WHERE status = 'Removed';
