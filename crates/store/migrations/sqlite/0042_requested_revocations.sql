-- Revocations of single certificates that operators requested.

-- JSON: the reason, the time of the request, its state at the CA. NULL: none was requested.
ALTER TABLE certificates ADD COLUMN revocation TEXT;
-- When its next step is due. NULL: there is none.
ALTER TABLE certificates ADD COLUMN revocation_due_at INTEGER;
CREATE INDEX certificates_revocation ON certificates (revocation_due_at) WHERE revocation_due_at IS NOT NULL;
