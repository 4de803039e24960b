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
INSERT INTO cabinet_migrations VALUES(1,'domains','2026-11-29 17:03:53',1,X'207052ec11a0b4b2e5da802b4685b2647f425ad5e4c750b1d1707c2cfe77fc8739e048e0db20d24a03e74708ac41eb36',3466062);
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
INSERT INTO cabinet_domains VALUES('01a22843-607d-7f2b-857e-6577b443516a','tenant-1','live.upgrade.test','live.upgrade.test','customers.platform.test','Active',NULL,NULL,NULL,NULL,2426691833000000,4,1795971833981227,1795971834368350,NULL,1,1);
INSERT INTO cabinet_domains VALUES('01a22843-6080-7409-be5a-8e2f3e4cf4fc','tenant-1','moved.upgrade.test','moved.upgrade.test','customers.platform.test','Active','DNS_MOVED','moved.upgrade.test no longer points to us, so its certificate cannot be renewed. moved.upgrade.test has the address 192.0.2.9 instead of a CNAME to us. To fix it, remove that record and create the record "moved CNAME customers.platform.test." in the zone upgrade.test.','{"cause":{"addresses":["192.0.2.9"],"code":"DNS_NO_CNAME"},"code":"DNS_MOVED"}',1795972327562960,2426691833000000,5,1795971833984422,1795971834615416,NULL,2,2);
INSERT INTO cabinet_domains VALUES('01a22843-6087-7995-9e9e-defe5096b335','tenant-1','removed.upgrade.test','removed.upgrade.test','customers.platform.test','Removed',NULL,NULL,NULL,NULL,NULL,6,1795971833991424,1795971834533548,NULL,3,7);
INSERT INTO cabinet_domains VALUES('01a22843-6089-7b2e-88eb-bbd9950e6acd','tenant-1','renewing.upgrade.test','renewing.upgrade.test','customers.platform.test','Active',NULL,NULL,NULL,NULL,2426691833000000,4,1795971833993259,1795971834368502,NULL,4,4);
INSERT INTO cabinet_domains VALUES('01a22843-620c-7b4e-acae-8021bd50c88f','tenant-1','shop.rejected.test','shop.rejected.test','customers.platform.test','Failed','ACME_REJECTED_IDENTIFIER','The certificate authority does not issue certificates for shop.rejected.test: Order included an identifier for which issuance is forbidden by policy: "shop.rejected.test"','{"code":"ACME_REJECTED_IDENTIFIER","detail":"Order included an identifier for which issuance is forbidden by policy: \"shop.rejected.test\""}',NULL,NULL,4,1795971834380702,1795971834474301,NULL,5,5);
INSERT INTO cabinet_domains VALUES('01a22843-626e-7550-ae01-8aae36ec38d8','tenant-2','pending.upgrade.test','pending.upgrade.test','customers.platform.test','PendingDns','DNS_NXDOMAIN','pending.upgrade.test does not exist in DNS. To fix it, create the record "pending CNAME customers.platform.test." in the zone upgrade.test.','{"code":"DNS_NXDOMAIN"}',1795971836223849,NULL,4,1795971834478334,1795971835269752,NULL,6,6);
INSERT INTO cabinet_domains VALUES('01a22843-6351-7f30-b312-90de36f221f7','tenant-1','order-saved.upgrade.test','order-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971834705668,1795971834748193,NULL,8,8);
INSERT INTO cabinet_domains VALUES('01a22843-63fc-751d-a0ce-1d98ebc789ab','tenant-1','challenge-saved.upgrade.test','challenge-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971834876506,1795971834912124,NULL,9,9);
INSERT INTO cabinet_domains VALUES('01a22843-649f-71b9-beb3-516a9015a45c','tenant-1','key-saved.upgrade.test','key-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971835039016,1795971835077895,NULL,10,10);
INSERT INTO cabinet_domains VALUES('01a22843-6572-7dec-b9b9-197590ea89bc','tenant-1','certificate-saved.upgrade.test','certificate-saved.upgrade.test','customers.platform.test','Issuing',NULL,NULL,NULL,NULL,NULL,3,1795971835250837,1795971835296253,NULL,11,11);
CREATE UNIQUE INDEX cabinet_domains_holder ON cabinet_domains (canonical_host) WHERE status <> 'Removed';
CREATE INDEX cabinet_domains_by_status ON cabinet_domains (status, position);
CREATE INDEX cabinet_domains_by_tenant ON cabinet_domains (tenant_id, position);
CREATE INDEX cabinet_domains_by_host ON cabinet_domains (canonical_host, position);
COMMIT;
