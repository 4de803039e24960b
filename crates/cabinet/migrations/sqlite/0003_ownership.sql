-- Claims of several tenants to one hostname, and the record that proves whose it is.

ALTER TABLE cabinet_domains ADD COLUMN ownership_verification TEXT; -- JSON object; NULL while no proof is wanted

-- The holder of a name is decided by proof; a tenant has one claim to it. A removed one does not count.
DROP INDEX cabinet_domains_holder;
CREATE UNIQUE INDEX cabinet_domains_claim ON cabinet_domains (canonical_host, tenant_id) WHERE status <> 'Removed';
-- All claims of a tenant to a name, with removed ones, whose target comes back with the tenant.
CREATE INDEX cabinet_domains_by_claim ON cabinet_domains (canonical_host, tenant_id, position);
