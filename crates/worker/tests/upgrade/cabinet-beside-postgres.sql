PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE cabinet_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO cabinet_migrations VALUES(1,'domains','2026-11-29 17:03:48',1,X'207052ec11a0b4b2e5da802b4685b2647f425ad5e4c750b1d1707c2cfe77fc8739e048e0db20d24a03e74708ac41eb36',1106328);
CREATE TABLE cabinet_feed (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO cabinet_feed VALUES(1,11);
CREATE TABLE cabinet_domains (
    id TEXT PRIMARY KEY,              -- UUID in its hyphenated form
    tenant_id TEXT NOT NULL,
    hostname TEXT NOT NULL,           -- as typed
    canonical_host TEXT NOT NULL,     -- lower case A-labels
    cname_target TEXT NOT NULL,
    status TEXT NOT NULL,
    last_error_code TEXT,
    last_error_message TEXT,
    error_details TEXT,               -- JSON object
    next_attempt_at INTEGER,           -- microseconds since the Unix epoch, like every time here
    certificate_not_after INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    retried_at INTEGER,                -- when a customer last asked for a retry
    position INTEGER NOT NULL UNIQUE,        -- place in lists: order of creation
    change_position INTEGER NOT NULL UNIQUE  -- place in the change feed: order of the customer side's last change
) STRICT;
INSERT INTO cabinet_domains VALUES('01a22843-4d80-7932-b976-a8dd8acec382','tenant-1','live.upgrade.test','live.upgrade.test','customers.platform.test','Active',NULL,NULL,NULL,NULL,2426691828000000,4,1795971829120928,1795971829698385,NULL,1,1);
INSERT INTO cabinet_domains VALUES('01a22843-4db8-70f1-9546-1b416e2143d1','tenant-1','moved.upgrade.test','moved.upgrade.test','customers.platform.test','Active','DNS_MOVED','moved.upgrade.test no longer points to us, so its certificate cannot be renewed. moved.upgrade.test has the address 192.0.2.9 instead of a CNAME to us. To fix it, remove that record and create the record "moved CNAME customers.platform.test." in the zone upgrade.test.','{"cause":{"addresses":["192.0.2.9"],"code":"DNS_NO_CNAME"},"code":"DNS_MOVED"}',1795972399932849,2426691828000000,5,1795971829176061,1795971829996254,NULL,2,2);
INSERT INTO cabinet_domains VALUES('01a22843-4dbc-7c3b-8195-a0a5650f875c','tenant-1','removed.upgrade.test','removed.upgrade.test','customers.platform.test','Removed',NULL,NULL,NULL,NULL,NULL,6,1795971829180051,1795971829889145,NULL,3,7);
INSERT INTO cabinet_domains VALUES('01a22843-4dc2-7b0e-ba67-9f753446ffb8','tenant-1','renewing.upgrade.test','renewing.upgrade.test','customers.platform.test','Active',NULL,NULL,NULL,NULL,2426691828000000,4,1795971829186537,1795971829623522,NULL,4,4);
INSERT INTO cabinet_domains VALUES('01a22843-4ff1-7287-ac74-2e556ce82640','tenant-1','shop.rejected.test','shop.rejected.test','customers.platform.test','Failed','ACME_REJECTED_IDENTIFIER','The certificate authority does not issue certificates for shop.rejected.test: Order included an identifier for which issuance is forbidden by policy: "shop.rejected.test"','{"code":"ACME_REJECTED_IDENTIFIER","detail":"Order included an identifier for which issuance is forbidden by policy: \"shop.rejected.test\""}',NULL,NULL,4,1795971829745882,1795971829805373,NULL,5,5);
INSERT INTO cabinet_domains VALUES('01a22843-5040-7e58-a882-904c1510b173','tenant-2','pending.upgrade.test','pending.upgrade.test','customers.platform.test','PendingDns','DNS_NXDOMAIN','pending.upgrade.test does not exist in DNS. To fix it, create the record "pending CNAME customers.platform.test." in the zone upgrade.test.','{"code":"DNS_NXDOMAIN"}',1795971832851901,NULL,5,1795971829824691,1795971831895232,NULL,6,6);
INSERT INTO cabinet_domains VALUES('01a22843-514b-7447-b8c8-2e889f3bd6bf','tenant-1','order-saved.upgrade.test','order-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971830091582,1795971830214081,NULL,8,8);
INSERT INTO cabinet_domains VALUES('01a22843-52f0-77f6-ba4e-bdd8c12d05d6','tenant-1','challenge-saved.upgrade.test','challenge-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971830512438,1795971830628877,NULL,9,9);
INSERT INTO cabinet_domains VALUES('01a22843-546b-7ff8-a787-cb09de2207cd','tenant-1','key-saved.upgrade.test','key-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971830891020,1795971831004394,NULL,10,10);
INSERT INTO cabinet_domains VALUES('01a22843-5610-7efd-8f8c-92c30873f106','tenant-1','certificate-saved.upgrade.test','certificate-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971831312506,1795971831438478,NULL,11,11);
CREATE UNIQUE INDEX cabinet_domains_holder ON cabinet_domains (canonical_host) WHERE status <> 'Removed';
CREATE INDEX cabinet_domains_by_status ON cabinet_domains (status, position);
CREATE INDEX cabinet_domains_by_tenant ON cabinet_domains (tenant_id, position);
CREATE INDEX cabinet_domains_by_host ON cabinet_domains (canonical_host, position);
COMMIT;
