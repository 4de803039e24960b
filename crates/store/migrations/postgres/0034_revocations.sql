-- The revocation of the certificates of domains that ended.

-- JSON: how often the CA did not carry it out, and the record's due time without it. NULL: there is none to do.
ALTER TABLE custom_domains ADD COLUMN revocation TEXT;
