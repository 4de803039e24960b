-- When the CA is asked about each certificate that is served, and what it said (RFC 9773): apart from the work records, for it is asked
-- several times a day and seldom says anything new.

CREATE TABLE renewal_questions (
    domain_id TEXT COLLATE "C" PRIMARY KEY REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- The certificate that the domain serves.
    certificate_id TEXT COLLATE "C" NOT NULL,
    -- When the CA is asked next; while somebody asks, when their claim ends.
    ask_at BIGINT NOT NULL,
    -- The window that the CA suggested; NULL while it named none.
    window_start_at BIGINT,
    window_end_at BIGINT,
    -- Where the CA explains it to people.
    explanation_url TEXT,
    -- Askings in a row that failed.
    failures BIGINT NOT NULL
);
CREATE INDEX renewal_questions_due ON renewal_questions (ask_at);

-- First, so that nobody writes a record meanwhile.
ALTER TABLE custom_domains DROP COLUMN upkeep;
-- The CA is asked anew about everything that is served, when the domain is looked at next.
INSERT INTO renewal_questions (domain_id, certificate_id, ask_at, failures)
SELECT id, serving_certificate_id, COALESCE(next_attempt_at, updated_at), 0
FROM custom_domains WHERE serving_certificate_id IS NOT NULL;
