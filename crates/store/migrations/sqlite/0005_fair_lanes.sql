-- Turns between tenants inside a lane, and renewals that become urgent while they wait.

-- The tenants are dealt out to 64 shards by a hash, and shards take turns. Rows of an earlier version share one until they are next written.
ALTER TABLE custom_domains ADD COLUMN tenant_shard INTEGER NOT NULL DEFAULT 0;
-- From when on the renewal is urgent; NULL while no certificate is served.
ALTER TABLE custom_domains ADD COLUMN urgent_from INTEGER;

-- A tenth of the lifetime is left.
UPDATE custom_domains SET urgent_from = (
    SELECT MAX(certificates.not_after - (certificates.not_after - certificates.not_before) / 10)
    FROM certificates
    WHERE certificates.domain_id = custom_domains.id AND certificates.not_after = custom_domains.serving_not_after
) WHERE serving_not_after IS NOT NULL;

-- What is due in a lane, shard by shard, and when the next one is.
DROP INDEX custom_domains_due;
CREATE INDEX custom_domains_due ON custom_domains (lane, tenant_shard, acquirable_at);
-- What becomes urgent while it waits.
CREATE INDEX custom_domains_urgent ON custom_domains (urgent_from) WHERE lane IN ('renewal', 'recheck');
