-- Events for the platform's own systems.

-- One row for each event and receiver.
CREATE TABLE webhook_deliveries (
    -- Orders the events of a domain; never reused.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The name of the receiver.
    receiver TEXT NOT NULL,
    -- The event, the same for every receiver.
    event_id TEXT NOT NULL,
    -- The domain, whose record may be gone.
    domain_id TEXT NOT NULL,
    -- What to send, as JSON.
    body TEXT NOT NULL,
    -- pending, delivered, failed, or requested by an operator to be delivered again.
    state TEXT NOT NULL,
    -- Tries that failed.
    attempt INTEGER NOT NULL,
    -- When it is due; NULL while an older event of the domain is pending, and at the end.
    due_at INTEGER,
    -- Since when it has been pending; it is given up after a time.
    pending_since INTEGER NOT NULL,
    -- When it was delivered or given up; NULL before.
    ended_at INTEGER,
    -- When the event happened.
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (event_id, receiver);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (receiver, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (receiver, domain_id, id)
    WHERE state IN ('pending', 'requested');
CREATE INDEX webhook_deliveries_since ON webhook_deliveries (receiver, pending_since, id)
    WHERE state IN ('pending', 'requested');
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_at);
