-- When a live domain is looked after between its renewals, and what the CA said of its certificate (RFC 9773).

-- The next look at its DNS, the next question to the CA and the CA's window, as JSON; NULL until the domain is live.
ALTER TABLE custom_domains ADD COLUMN upkeep TEXT;
-- The window is kept with the work record, which is written in the transaction that moves the renewal. Nothing was ever stored here.
ALTER TABLE certificates DROP COLUMN ari_window_start_at;
ALTER TABLE certificates DROP COLUMN ari_window_end_at;
ALTER TABLE certificates DROP COLUMN ari_refresh_at;
