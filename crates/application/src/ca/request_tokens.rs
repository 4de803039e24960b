//! Tokens for requests to the CA, taken from the shared ledger.

use std::sync::Arc;

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::limits::{BucketKey, CaLimits, Change, Endpoint, Entry, Limit, LimitKind};

use crate::ports::requests::RequestTokens;
use crate::ports::store::{StoreError, Taken};
use crate::ports::{CertificateStore, Clock};

/// The ledger's buckets of requests to one CA.
pub struct LedgerTokens {
    /// Where the ledger is.
    pub store: Arc<dyn CertificateStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The limits of the CA.
    pub limits: Arc<CaLimits>,
    /// The CA.
    pub directory_url: String,
}

impl LedgerTokens {
    fn bucket(&self, endpoint: Endpoint) -> BucketKey {
        BucketKey::of_account(LimitKind::Requests(endpoint), &self.directory_url)
    }
}

#[async_trait]
impl RequestTokens for LedgerTokens {
    fn limit(&self, endpoint: Endpoint) -> Limit {
        self.limits.get(LimitKind::Requests(endpoint))
    }

    async fn take(&self, endpoint: Endpoint, most: u32) -> Result<Taken, StoreError> {
        let (key, limit) = (self.bucket(endpoint), self.limit(endpoint));
        self.store
            .ledger_take(&key, &limit, self.clock.now(), most)
            .await
    }

    async fn block(&self, endpoint: Endpoint, until: Timestamp) -> Result<(), StoreError> {
        let entry = Entry {
            key: self.bucket(endpoint),
            limit: self.limit(endpoint),
            change: Change::Block(until),
        };
        self.store.ledger_apply(&[entry], self.clock.now()).await
    }
}
