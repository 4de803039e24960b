-- Orders since the last deployed certificate that led to none: each makes the pause before the next one longer.

ALTER TABLE custom_domains ADD COLUMN lost_orders INTEGER NOT NULL DEFAULT 0;

-- Since when a newer certificate of the domain is stored, while the key of the older one is kept; NULL otherwise.

ALTER TABLE certificates ADD COLUMN superseded_at INTEGER;
UPDATE certificates SET superseded_at = (
    SELECT MIN(newer.created_at) FROM certificates AS newer
    WHERE newer.domain_id = certificates.domain_id AND newer.generation > certificates.generation
);
CREATE INDEX certificates_superseded ON certificates (superseded_at) WHERE superseded_at IS NOT NULL;
