-- The record of operators' actions, and the pauses of issuance.

-- One row for each action.
CREATE TABLE operator_actions (
    -- UUID version 7: in the order of time.
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    -- The person or token that acted.
    who TEXT NOT NULL,
    -- cli or api.
    source TEXT NOT NULL,
    -- The role of the token; empty for the command line.
    role TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- domain, tenant, filter, edge, limit or all.
    scope TEXT NOT NULL,
    -- The name of that; empty for all.
    subject TEXT NOT NULL,
    -- NULL: none was given.
    reason TEXT,
    -- The state before and after; empty if there is none worth a word.
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    -- Domains or other things that it is about; NULL if they were not counted.
    count INTEGER
) STRICT, WITHOUT ROWID;

-- One row for each pause that is in force. No order is placed for what it covers.
CREATE TABLE issuance_pauses (
    -- all, tenant or domain.
    scope TEXT NOT NULL,
    -- The tenant or the hostname; empty for all.
    subject TEXT NOT NULL,
    since INTEGER NOT NULL,
    -- The operator that paused.
    who TEXT NOT NULL,
    -- NULL: none was given.
    reason TEXT,
    PRIMARY KEY (scope, subject)
) STRICT, WITHOUT ROWID;
