-- Accounts, orders, challenges and certificates, with every private key as a sealed blob, and where certificates are deployed.
CREATE TABLE acme_accounts (
    -- The CA (RFC 8555 §7.1.1).
    directory_url TEXT COLLATE "C" PRIMARY KEY,
    -- The account's private key, sealed.
    key_sealed BYTEA NOT NULL,
    -- The account's URL; NULL until it is registered.
    url TEXT,
    -- When it was stored.
    created_at BIGINT NOT NULL
);

CREATE TABLE acme_orders (
    -- Our identifier.
    id TEXT COLLATE "C" PRIMARY KEY,
    -- Whose it is.
    domain_id TEXT COLLATE "C" NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- The CA it is at.
    directory_url TEXT NOT NULL,
    -- The order's URL (RFC 8555 §7.1.3).
    url TEXT NOT NULL,
    -- Whether it can still lead to a certificate.
    open BOOLEAN NOT NULL,
    -- The certificate's private key, sealed; stored before finalize, NULL until then.
    key_sealed BYTEA,
    -- When it was stored.
    created_at BIGINT NOT NULL
);

CREATE INDEX acme_orders_domain ON acme_orders (domain_id);
-- A domain has one open order at most.
CREATE UNIQUE INDEX acme_orders_open ON acme_orders (domain_id) WHERE open;

CREATE TABLE acme_challenges (
    -- The order it validates.
    order_id TEXT COLLATE "C" PRIMARY KEY REFERENCES acme_orders (id) ON DELETE CASCADE,
    -- The challenge's URL (RFC 8555 §7.1.5).
    url TEXT NOT NULL,
    -- The token, public by nature.
    token TEXT NOT NULL,
    -- What is served for it (RFC 8555 §8.1).
    key_authorization TEXT NOT NULL
);

CREATE TABLE certificates (
    -- Our identifier, under which the key is sealed.
    id TEXT COLLATE "C" PRIMARY KEY,
    -- Whose it is.
    domain_id TEXT COLLATE "C" NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- The order that gave it; one certificate per order.
    order_id TEXT COLLATE "C" NOT NULL UNIQUE,
    -- The name it is for.
    hostname TEXT COLLATE "C" NOT NULL,
    -- Orders the certificates of one hostname; edges refuse to go back.
    generation BIGINT NOT NULL,
    -- SHA-256 of the leaf, lower-case hex.
    fingerprint TEXT NOT NULL,
    -- Serial number, lower-case hex.
    serial TEXT NOT NULL,
    -- Start of validity.
    not_before BIGINT NOT NULL,
    -- End of validity.
    not_after BIGINT NOT NULL,
    -- The chain, leaf first, as PEM.
    chain_pem TEXT NOT NULL,
    -- The private key, sealed.
    key_sealed BYTEA NOT NULL,
    -- The certificate's name at the CA's renewalInfo resource (RFC 9773 §4.1); NULL if it has none.
    ari_id TEXT,
    -- The CA's suggested renewal window (RFC 9773 §4.2); NULL until it was asked.
    ari_window_start_at BIGINT,
    -- End of the suggested window.
    ari_window_end_at BIGINT,
    -- When the CA wants to be asked again; NULL until it was asked.
    ari_refresh_at BIGINT,
    -- When it was stored.
    created_at BIGINT NOT NULL
);

CREATE INDEX certificates_domain ON certificates (domain_id);
CREATE UNIQUE INDEX certificates_generation ON certificates (hostname, generation);

CREATE TABLE edge_deployments (
    -- The domain that is served.
    domain_id TEXT COLLATE "C" NOT NULL REFERENCES custom_domains (id) ON DELETE CASCADE,
    -- The edge, by its configured name.
    edge TEXT COLLATE "C" NOT NULL,
    -- The certificate that it presented in a handshake.
    certificate_id TEXT COLLATE "C" NOT NULL,
    -- When it did.
    deployed_at BIGINT NOT NULL,
    PRIMARY KEY (domain_id, edge)
);
