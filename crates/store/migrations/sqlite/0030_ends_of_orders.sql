-- When orders ended and certificates were retired, so that both can be deleted in batches by an index.

-- When it ended: closed without a certificate, or the storing of a certificate that is retired now. NULL while the order
-- is open, while its certificate is kept, and for orders that a program of an earlier version closed.
ALTER TABLE acme_orders ADD COLUMN ended_at INTEGER;
-- When it was neither the newest of its domain nor one of the two before; NULL until then.
ALTER TABLE certificates ADD COLUMN retired_at INTEGER;

UPDATE certificates SET retired_at = created_at WHERE 3 <= (
    SELECT COUNT(*) FROM certificates AS newer
    WHERE newer.domain_id = certificates.domain_id
    AND (newer.generation > certificates.generation
        OR (newer.generation = certificates.generation AND newer.id > certificates.id))
);
UPDATE acme_orders SET ended_at = created_at
WHERE NOT open AND NOT EXISTS (
    SELECT 1 FROM certificates WHERE certificates.order_id = acme_orders.id AND certificates.retired_at IS NULL
);

CREATE INDEX acme_orders_ended ON acme_orders (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX acme_orders_ended_keys ON acme_orders (ended_at) WHERE ended_at IS NOT NULL AND key_sealed IS NOT NULL;
CREATE INDEX certificates_retired ON certificates (retired_at) WHERE retired_at IS NOT NULL AND superseded_at IS NULL;
DROP INDEX certificates_superseded;
CREATE INDEX certificates_superseded ON certificates (superseded_at, id) WHERE superseded_at IS NOT NULL;
CREATE INDEX certificates_superseded_end ON certificates (not_after) WHERE superseded_at IS NOT NULL;
CREATE INDEX rate_limit_slots_at ON rate_limit_slots (slot_at);
