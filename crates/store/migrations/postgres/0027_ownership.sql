-- The tenant's ownership of the hostname as JSON; NULL while nothing is required or proven.
ALTER TABLE custom_domains ADD COLUMN ownership TEXT;

-- Domains that are served were contested by nobody.
UPDATE custom_domains
SET ownership = '{"held":{"basis":"uncontested","since":"1970-01-01T00:00:00Z"}}'
WHERE substr(phase, 1, 9) = '{"live":{' OR substr(phase, 1, 12) = '{"expired":{';
