-- The limits of a CA as a ledger: what was spent, what is parked, and which tokens are held for which domain.

-- Tokens spent since the bucket was full.
ALTER TABLE rate_limit_buckets ADD COLUMN spent BIGINT NOT NULL DEFAULT 0;
-- The CA said that there is nothing before this moment.
ALTER TABLE rate_limit_buckets ADD COLUMN parked_until BIGINT NOT NULL DEFAULT 0;
-- Buckets that are full again, which can be forgotten.
CREATE INDEX rate_limit_buckets_full_at ON rate_limit_buckets (full_at);

-- Tokens that a domain holds until it is known whether the CA counted them.
CREATE TABLE rate_limit_slots (
    domain_id TEXT COLLATE "C" NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- The bucket they are of.
    bucket TEXT COLLATE "C" NOT NULL,
    -- The moment for which it is held; in the future, the domain waits for it.
    slot_at BIGINT NOT NULL,
    PRIMARY KEY (domain_id, bucket)
);
