-- Fewer index entries for each write, and the queues of large tenants before writes keep them.

-- Records of domains that are not served had entries too.
DROP INDEX custom_domains_pointing_here;
CREATE INDEX custom_domains_pointing_here ON custom_domains (serving_not_after)
WHERE moved_away_since IS NULL AND serving_not_after IS NOT NULL;

-- A record of the first queue now stays there while it stays in its lane. Rows of versions without second queues are all
-- in the first one.
UPDATE custom_domains SET tenant_shard = tenant_shard + 64 WHERE tenant_shard < 64 AND id IN (
    SELECT id FROM (
        SELECT id, ROW_NUMBER() OVER (
            PARTITION BY tenant_id, lane ORDER BY CASE WHEN tenant_shard < 64 THEN 0 ELSE 1 END, acquirable_at, id
        ) AS place
        FROM custom_domains
        WHERE lane IN ('verification', 'http_probe', 'retry', 'chronic', 'issuance', 'order_queue')
    ) AS places
    WHERE place > 16
);
