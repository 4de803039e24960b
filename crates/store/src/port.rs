//! The port's methods, each in the module of its table. The file is as long as the port has
//! methods, and changes only with them.

use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{
    AccountStore, Claimants, IssuedStore, LeaseStore, LimitStore, OrderStore, OutboxStore,
    RecordStore, RunningLease, SecretStore,
};
use dps_application::ports::store::{
    Debit, DomainEvent, DomainRecord, Lease, NewCertificate, OutboxLease, RecordWrite, SecretRow,
    Served, StoreError, StoredAccount, StoredCertificate, StoredChallenge, StoredOrder, Taken,
    WriteResult,
};
use dps_application::ports::vault::{SealedSecret, SecretPurpose};
use dps_domain::lane::Lane;
use dps_domain::limits::{Bucket, BucketKey, CaLimits, Charge, Entry, Limit};
use dps_domain::{CertificateId, DomainId, Hostname, LeaseToken, OrderId, Timestamp};

use crate::connect::Store;
use crate::domains::lease::{self, AcquireRequest};
use crate::domains::row::Rules;
use crate::{accounts, certificates, cursors, domains, events, ledger, orders, outbox, secrets};

impl Store {
    pub(crate) fn new_token(&self, now: Timestamp) -> LeaseToken {
        LeaseToken::new(now, self.randomness.id_bytes(), self.replica)
    }

    async fn rules(&self) -> Result<Rules<'_>, StoreError> {
        Ok(Rules {
            kept: self.events_per_domain,
            shard_key: self.shard_key().await?,
            webhooks: &self.webhooks,
        })
    }
}

#[async_trait]
impl CertificateStore for Store {
    async fn ping(&self) -> Result<(), StoreError> {
        cursors::ping(&self.database).await
    }
}

#[async_trait]
impl RecordStore for Store {
    async fn domain_insert(&self, write: RecordWrite) -> Result<bool, StoreError> {
        let inserted = self.domains_insert(vec![write]).await?;
        Ok(inserted.contains(&true))
    }

    async fn domains_insert(&self, writes: Vec<RecordWrite>) -> Result<Vec<bool>, StoreError> {
        domains::insert_all(&self.database, &writes, self.rules().await?).await
    }

    async fn domain(&self, id: DomainId) -> Result<Option<DomainRecord>, StoreError> {
        domains::by_id(&self.database, id).await
    }

    async fn domains_by_hostname(
        &self,
        hostname: &Hostname,
        whose: Claimants<'_>,
        limit: u32,
    ) -> Result<Vec<DomainRecord>, StoreError> {
        domains::by_hostname(&self.database, hostname, whose, limit).await
    }

    async fn domain_update(&self, write: RecordWrite) -> Result<bool, StoreError> {
        let action_id = self.new_action_id(write.record().updated_at);
        domains::update(&self.database, &write, action_id, self.rules().await?).await
    }

    async fn domain_forget(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
        lease::forget(&self.database, id, token).await
    }

    async fn events(&self, id: DomainId, limit: u32) -> Result<Vec<DomainEvent>, StoreError> {
        events::newest(&self.database, id, limit).await
    }
}

#[async_trait]
impl LeaseStore for Store {
    async fn acquire_due(
        &self,
        lane: Lane,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        let token = self.new_token(now);
        let request = AcquireRequest {
            lane,
            now,
            term: self.term(ttl),
            limit,
            token,
            kept: self.events_per_domain,
        };
        lease::acquire_due(&self.database, &self.turns, &request).await
    }

    async fn acquire_queued(
        &self,
        (orders, limit): (&BucketKey, &Limit),
        now: Timestamp,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        let request = AcquireRequest {
            lane: Lane::OrderQueue,
            now,
            term: self.term(ttl),
            limit: most,
            token: self.new_token(now),
            kept: self.events_per_domain,
        };
        lease::acquire_queued(&self.database, &self.turns, orders, limit, request).await
    }

    async fn waiting(&self, lane: Lane, most: u32) -> Result<u32, StoreError> {
        lease::waiting(&self.database, lane, most).await
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        lease::next_due(&self.database, lane).await
    }

    async fn running_lease(&self, id: DomainId) -> Result<Option<RunningLease>, StoreError> {
        let now = self.term(Duration::ZERO).now;
        lease::running(&self.database, id, now).await
    }

    async fn complete_all(
        &self,
        outcomes: &[(LeaseToken, RecordWrite)],
    ) -> Result<Vec<WriteResult>, StoreError> {
        lease::complete_all(&self.database, outcomes, self.rules().await?).await
    }

    async fn complete_and_extend(
        &self,
        token: LeaseToken,
        write: &RecordWrite,
        next: LeaseToken,
        ttl: Duration,
    ) -> Result<Lease, StoreError> {
        let (rules, term) = (self.rules().await?, self.term(ttl));
        lease::complete_and_extend(&self.database, token, write, next, term, rules).await
    }

    async fn release(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
        lease::release(&self.database, id, token).await
    }
}

#[async_trait]
impl LimitStore for Store {
    async fn ledger_debit(
        &self,
        domain: DomainId,
        token: LeaseToken,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Debit, StoreError> {
        let shared_now = self.term(Duration::ZERO).now;
        ledger::debit(&self.database, domain, token, charges, now, shared_now).await
    }

    async fn ledger_take(
        &self,
        key: &BucketKey,
        limit: &Limit,
        now: Timestamp,
        most: u32,
    ) -> Result<Taken, StoreError> {
        let shared_now = self.term(Duration::ZERO).now;
        ledger::take(&self.database, key, limit, now, shared_now, most).await
    }

    async fn ledger_apply(&self, entries: &[Entry], now: Timestamp) -> Result<(), StoreError> {
        ledger::apply(&self.database, entries, now).await
    }

    async fn ledger_bucket(&self, key: &BucketKey) -> Result<Bucket, StoreError> {
        ledger::operator::bucket(&self.database, key).await
    }

    async fn ledger_buckets(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(BucketKey, Bucket)>, StoreError> {
        ledger::operator::buckets(&self.database, after, limit).await
    }

    async fn ledger_lift(&self, key: &BucketKey) -> Result<(), StoreError> {
        ledger::operator::lift(&self.database, key).await
    }

    async fn ledger_compact(
        &self,
        limits: &CaLimits,
        now: Timestamp,
        after: Option<&BucketKey>,
        limit: u32,
    ) -> Result<Option<BucketKey>, StoreError> {
        ledger::compact::compact(&self.database, limits, now, after, limit).await
    }
}

#[async_trait]
impl OrderStore for Store {
    async fn order_insert(&self, order: &StoredOrder, token: LeaseToken) -> Result<(), StoreError> {
        orders::insert(&self.database, order, token).await
    }

    async fn order(&self, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        orders::by_id(&self.database, id).await
    }

    async fn order_open(&self, domain: DomainId) -> Result<Option<StoredOrder>, StoreError> {
        orders::open_of(&self.database, domain).await
    }

    async fn order_put_key(
        &self,
        id: OrderId,
        key: &SealedSecret,
    ) -> Result<SealedSecret, StoreError> {
        orders::put_key(&self.database, id, key).await
    }

    async fn order_close(&self, id: OrderId, now: Timestamp) -> Result<(), StoreError> {
        orders::close(&self.database, id, now).await
    }

    async fn challenge_put(&self, challenge: &StoredChallenge) -> Result<(), StoreError> {
        orders::put_challenge(&self.database, challenge).await
    }

    async fn challenge(&self, order: OrderId) -> Result<Option<StoredChallenge>, StoreError> {
        orders::challenge(&self.database, order).await
    }

    async fn challenge_delete(&self, order: OrderId) -> Result<(), StoreError> {
        orders::delete_challenge(&self.database, order).await
    }
}

#[async_trait]
impl IssuedStore for Store {
    async fn certificate_insert(
        &self,
        new: &NewCertificate,
    ) -> Result<StoredCertificate, StoreError> {
        certificates::insert(&self.database, new).await
    }

    async fn certificate(
        &self,
        id: CertificateId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        certificates::by_id(&self.database, id).await
    }

    async fn certificates_valid(
        &self,
        domain: DomainId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        certificates::valid(&self.database, domain, now, limit).await
    }

    async fn generation_held(
        &self,
        domain: DomainId,
        token: LeaseToken,
    ) -> Result<Option<u64>, StoreError> {
        certificates::generation_held(&self.database, domain, token).await
    }

    async fn certificate_of_order(
        &self,
        order: OrderId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        certificates::of_order(&self.database, order).await
    }

    async fn live_directories(&self) -> Result<Vec<String>, StoreError> {
        certificates::live_directories(&self.database).await
    }

    async fn served(&self, after: Option<DomainId>, limit: u32) -> Result<Vec<Served>, StoreError> {
        certificates::served(&self.database, after, limit).await
    }

    async fn soonest_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        domains::soonest_expiry(&self.database).await
    }
}

#[async_trait]
impl AccountStore for Store {
    async fn account(&self, directory_url: &str) -> Result<Option<StoredAccount>, StoreError> {
        accounts::by_directory(&self.database, directory_url).await
    }

    async fn account_insert(&self, account: &StoredAccount) -> Result<StoredAccount, StoreError> {
        accounts::insert(&self.database, account).await
    }

    async fn account_set_url(&self, directory_url: &str, url: &str) -> Result<(), StoreError> {
        accounts::registered(&self.database, directory_url, url).await
    }
}

#[async_trait]
impl OutboxStore for Store {
    async fn outbox_acquire(
        &self,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<OutboxLease>, StoreError> {
        let token = self.new_token(now);
        outbox::acquire(&self.database, now, self.term(ttl), limit, token).await
    }

    async fn outbox_count(&self, most: u32) -> Result<u32, StoreError> {
        outbox::count(&self.database, most).await
    }

    async fn outbox_oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        outbox::oldest(&self.database).await
    }

    async fn outbox_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        outbox::next_due(&self.database).await
    }

    async fn outbox_finish(
        &self,
        lease: &OutboxLease,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        outbox::done(&self.database, lease, version).await
    }

    async fn outbox_retry(
        &self,
        lease: &OutboxLease,
        at: Timestamp,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        outbox::retry(&self.database, lease, at, version).await
    }

    async fn outbox_drop(&self, domain: DomainId) -> Result<(), StoreError> {
        outbox::drop_all(&self.database, domain).await
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn secrets(
        &self,
        purpose: SecretPurpose,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SecretRow>, StoreError> {
        secrets::page(&self.database, purpose, after, limit).await
    }

    async fn secret_replace(
        &self,
        row: &SecretRow,
        new: &SealedSecret,
    ) -> Result<bool, StoreError> {
        secrets::replace(&self.database, row, new).await
    }
}
