-- Domains that were served and whose DNS points elsewhere: a state of the phase instead of the last failure's text.

-- Since when it points elsewhere; NULL while it points to us, and for a domain that is not served. Follows from the phase.
ALTER TABLE custom_domains ADD COLUMN moved_away_since BIGINT;

UPDATE custom_domains
SET
    moved_away_since = updated_at / 1000000 * 1000000,
    phase = replace(
        replace(
            phase,
            ',"next":',
            ',"dns":{"movedAway":{"since":"'
            || to_char(to_timestamp(updated_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            || '"}},"next":'
        ),
        ',"issuance":',
        ',"dns":{"movedAway":{"since":"'
        || to_char(to_timestamp(updated_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        || '"}},"issuance":'
    )
WHERE
    substr(last_failure, 1, 19) = '{"code":"DNS_MOVED"'
    AND (substr(phase, 1, 9) = '{"live":{' OR substr(phase, 1, 12) = '{"expired":{');

CREATE INDEX custom_domains_pointing_here ON custom_domains (serving_not_after) WHERE moved_away_since IS NULL;
DROP INDEX custom_domains_soonest_expiry;
