-- Calls of the admin API that carry an idempotency key, with their first answers.

CREATE TABLE idempotency_keys (
    -- The holder of the caller's token. Each has keys of its own.
    holder TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- SHA-256 of the request, in hexadecimal digits.
    fingerprint TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    -- The HTTP status of the answer. NULL: the call is under way, or its process died.
    status INTEGER,
    -- NULL: there is no answer, or it is too long to be kept.
    body TEXT,
    PRIMARY KEY (holder, idempotency_key)
) STRICT, WITHOUT ROWID;

-- Keys are deleted by their age.
CREATE INDEX idempotency_keys_begun ON idempotency_keys (begun_at);
