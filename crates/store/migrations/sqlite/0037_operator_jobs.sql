-- Jobs: one action of an operator on many domains.

CREATE TABLE operator_jobs (
    -- UUID version 7: in the order of time.
    id TEXT NOT NULL PRIMARY KEY,
    -- The action on each domain: retry, renew, recheck, pause or resume.
    action TEXT NOT NULL,
    -- JSON: the parts of the filter.
    filter TEXT NOT NULL,
    -- The operator.
    who TEXT NOT NULL,
    -- The role of the token; empty for the command line.
    role TEXT NOT NULL,
    -- NULL: none was given.
    reason TEXT,
    -- Domains in an hour at most; NULL: no bound.
    pace INTEGER,
    -- Domains at most; NULL: no bound.
    most INTEGER,
    -- Domains of the filter at the beginning.
    expected INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- running, done or cancelled.
    state TEXT NOT NULL,
    -- Where the next batch begins; empty at the beginning and the end.
    place TEXT NOT NULL,
    acted INTEGER NOT NULL,
    -- Domains whose state does not allow the action.
    refused INTEGER NOT NULL,
    -- When the next batch is due; that of a batch under way is the end of its lease.
    due_at INTEGER NOT NULL,
    -- When the progress was last written.
    written_at INTEGER NOT NULL,
    -- NULL: it has not ended.
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_jobs_due ON operator_jobs (due_at) WHERE state = 'running';
