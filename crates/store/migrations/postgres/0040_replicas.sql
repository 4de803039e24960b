-- The processes that work on the store, and when periodic tasks last ran.

CREATE TABLE replicas (
    -- As in the histories of domains.
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Of its program.
    version TEXT NOT NULL,
    -- Its parts, with spaces between them: workers, admin.
    roles TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- The last sign of life.
    seen_at BIGINT NOT NULL
);

-- When the task was last released; NULL if it never was.
ALTER TABLE chores ADD COLUMN ran_at BIGINT;
