-- Jobs: one action of an operator on many domains.

CREATE TABLE operator_jobs (
    -- UUID version 7: in the order of time.
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
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
    pace BIGINT,
    -- Domains at most; NULL: no bound.
    most BIGINT,
    -- Domains of the filter at the beginning.
    expected BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- running, done or cancelled.
    state TEXT NOT NULL,
    -- Where the next batch begins; empty at the beginning and the end.
    place TEXT NOT NULL,
    acted BIGINT NOT NULL,
    -- Domains whose state does not allow the action.
    refused BIGINT NOT NULL,
    -- When the next batch is due; that of a batch under way is the end of its lease.
    due_at BIGINT NOT NULL,
    -- When the progress was last written.
    written_at BIGINT NOT NULL,
    -- NULL: it has not ended.
    ended_at BIGINT
);
CREATE INDEX operator_jobs_due ON operator_jobs (due_at) WHERE state = 'running';
