-- The key of an order whose certificate is stored is erased, since the certificate has it; programs erase it in the same
-- transaction from this version on.

UPDATE acme_orders SET key_sealed = NULL
WHERE key_sealed IS NOT NULL AND EXISTS (SELECT 1 FROM certificates WHERE certificates.order_id = acme_orders.id);
