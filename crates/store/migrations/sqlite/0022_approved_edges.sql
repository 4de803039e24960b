-- An edge that is found by DNS gets no certificate before an operator or the configuration approves it. Those known so far are approved.

-- When it was approved; NULL while it waits for that.
ALTER TABLE edges ADD COLUMN approved_at INTEGER;
UPDATE edges SET approved_at = first_seen_at;
