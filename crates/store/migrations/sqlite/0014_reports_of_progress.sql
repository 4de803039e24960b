-- Reports of progress go before those of another look that found a name not ready.

CREATE INDEX outbox_progress ON outbox (acquirable_at) WHERE status <> 'PendingDns';
