//! Orders and their challenges (RFC 8555 §7.1.3).

use async_trait::async_trait;
use dps_domain::{DomainId, LeaseToken, OrderId, Timestamp};

use super::error::StoreError;
use crate::ports::vault::SealedSecret;

/// An order under way or done (RFC 8555 §7.1.3).
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOrder {
    /// Our identifier.
    pub id: OrderId,
    /// Whose it is.
    pub domain_id: DomainId,
    /// The CA it is at.
    pub directory_url: String,
    /// The order's URL.
    pub url: String,
    /// Whether it can still lead to a certificate. At most one order of a domain is open.
    pub open: bool,
    /// The certificate's key, stored before finalize and erased when the certificate is stored.
    pub key: Option<SealedSecret>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A published HTTP-01 challenge of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChallenge {
    /// The order.
    pub order_id: OrderId,
    /// The challenge's URL.
    pub url: String,
    /// The token.
    pub token: String,
    /// The key authorization that is served for it.
    pub key_authorization: String,
}

/// Orders and their challenges (RFC 8555 §7.1.3).
#[async_trait]
pub trait OrderStore: Send + Sync {
    /// Stores a new order of a domain that the caller holds, unless it is stored already. It
    /// becomes the domain's only open one. `LeaseLost` if the token is stale.
    async fn order_insert(&self, order: &StoredOrder, token: LeaseToken) -> Result<(), StoreError>;

    /// One order.
    async fn order(&self, id: OrderId) -> Result<Option<StoredOrder>, StoreError>;

    /// The domain's open order.
    async fn order_open(&self, domain: DomainId) -> Result<Option<StoredOrder>, StoreError>;

    /// Stores the certificate's key unless the order has one; answers the one it has now.
    /// `LeaseLost` if the order's certificate is stored, by another step then.
    async fn order_put_key(
        &self,
        id: OrderId,
        key: &SealedSecret,
    ) -> Result<SealedSecret, StoreError>;

    /// The order leads no further, from `now` on. A step that still works on it may find its key.
    async fn order_close(&self, id: OrderId, now: Timestamp) -> Result<(), StoreError>;

    /// Remembers the order's challenge (replacing an earlier one).
    async fn challenge_put(&self, challenge: &StoredChallenge) -> Result<(), StoreError>;

    /// The order's challenge, while it is published.
    async fn challenge(&self, order: OrderId) -> Result<Option<StoredChallenge>, StoreError>;

    /// The order's challenge is withdrawn.
    async fn challenge_delete(&self, order: OrderId) -> Result<(), StoreError>;
}
