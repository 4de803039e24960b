-- What a token of the CA's limits that a domain holds is worth, so that it is given back with the need for it.

-- How often such a token comes back, in microseconds; 0 for tokens of an earlier version.
ALTER TABLE rate_limit_slots ADD COLUMN interval_micros INTEGER NOT NULL DEFAULT 0;
-- The tokens that are held of a bucket.
CREATE INDEX rate_limit_slots_bucket ON rate_limit_slots (bucket, slot_at);
