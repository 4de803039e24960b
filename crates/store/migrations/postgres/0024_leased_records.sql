-- How many records of each queue of a lane are leased: those of which the fewest are have the next turn.

CREATE INDEX custom_domains_leased ON custom_domains (lane, tenant_shard, lease_expires_at)
WHERE lease_expires_at IS NOT NULL;
