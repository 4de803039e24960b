-- Turns that nobody can choose: tenants are dealt to shards by a secret of the installation, and a shard has two queues.

-- What was drawn once for this installation.
CREATE TABLE installation (
    name TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL
);

-- How many records of a tenant wait in a lane that one tenant can fill. Those beyond a few wait in the shard's second queue: 64 and more in
-- `tenant_shard`. Rows of an earlier version keep the shard of its hash until they are next written.
CREATE INDEX custom_domains_crowd ON custom_domains (tenant_id, lane)
WHERE lane IN ('verification', 'http_probe', 'retry', 'chronic', 'issuance', 'order_queue');
