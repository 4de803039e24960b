-- The soonest end of a served certificate, over domains that point at us: the gauge that operators alarm on.

CREATE INDEX custom_domains_soonest_expiry ON custom_domains (serving_not_after)
WHERE substr(COALESCE(last_failure, ''), 1, 19) <> '{"code":"DNS_MOVED"';
DROP INDEX custom_domains_serving_not_after;
