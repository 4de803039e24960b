//! The port's methods, each one lock. The file is as long as the port has methods: they say nothing
//! but which part of the store they call.

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

use super::leases::Term;
use super::{MemoryStore, State, not_stored};

impl MemoryStore {
    fn term(&self, now: Timestamp, ttl: Duration) -> Term {
        let steady = self.steady.now();
        Term { now, steady, ttl }
    }
}

#[async_trait]
impl CertificateStore for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl RecordStore for MemoryStore {
    async fn domain_insert(&self, write: RecordWrite) -> Result<bool, StoreError> {
        Ok(self.state().insert(&write, self.content))
    }

    async fn domain(&self, id: DomainId) -> Result<Option<DomainRecord>, StoreError> {
        Ok(self.state().rows.get(&id).map(|row| row.record.clone()))
    }

    async fn domains_by_hostname(
        &self,
        hostname: &Hostname,
        whose: Claimants<'_>,
        limit: u32,
    ) -> Result<Vec<DomainRecord>, StoreError> {
        Ok(self.state().of_hostname(hostname, whose, limit))
    }

    async fn domain_update(&self, write: RecordWrite) -> Result<bool, StoreError> {
        Ok(self.state().update(&write, self.content))
    }

    async fn domain_forget(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
        self.state().forget_held(id, token)
    }

    async fn events(&self, id: DomainId, limit: u32) -> Result<Vec<DomainEvent>, StoreError> {
        let state = self.state();
        let Some(row) = state.rows.get(&id) else {
            return Ok(vec![]);
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(row.events.iter().rev().take(limit).cloned().collect())
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn acquire_due(
        &self,
        lane: Lane,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        Ok(self.state().acquire(lane, self.term(now, ttl), limit))
    }

    async fn acquire_queued(
        &self,
        (orders, limit): (&BucketKey, &Limit),
        now: Timestamp,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        let term = self.term(now, ttl);
        let mut state = self.state();
        let tokens = state.tokens(orders, limit, now, term.steady);
        let most = most.min(usize::try_from(tokens).unwrap_or(usize::MAX));
        let leases = state.acquire(Lane::OrderQueue, term, most);
        let taken = u32::try_from(leases.len()).unwrap_or(u32::MAX);
        if taken > 0 {
            state.take_tokens(orders, limit, now, term.steady, taken);
        }
        Ok(leases)
    }

    async fn waiting(&self, lane: Lane, most: u32) -> Result<u32, StoreError> {
        Ok(self.state().waiting(lane).min(most))
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().next_due(lane))
    }

    async fn running_lease(&self, id: DomainId) -> Result<Option<RunningLease>, StoreError> {
        let term = self.term(Timestamp::EPOCH, Duration::ZERO);
        Ok(self.state().running_lease(id, term))
    }

    async fn complete_all(
        &self,
        outcomes: &[(LeaseToken, RecordWrite)],
    ) -> Result<Vec<WriteResult>, StoreError> {
        let mut state = self.state();
        let results = outcomes
            .iter()
            .map(|(token, write)| state.complete(*token, write, None, self.content));
        Ok(results.collect())
    }

    async fn complete_and_extend(
        &self,
        token: LeaseToken,
        write: &RecordWrite,
        next: LeaseToken,
        ttl: Duration,
    ) -> Result<Lease, StoreError> {
        let expires_at = self.steady.now() + ttl;
        let mut state = self.state();
        let written = state.complete(token, write, Some((next, expires_at)), self.content);
        if written == WriteResult::LeaseLost {
            state.prolong(write.record().id, next, expires_at)?;
        }
        let row = state.rows.get(&write.record().id);
        let record = row.ok_or(StoreError::LeaseLost)?.record.clone();
        Ok(Lease {
            record,
            token: next,
        })
    }

    async fn release(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
        self.state().release(id, token)
    }
}

#[async_trait]
impl LimitStore for MemoryStore {
    async fn ledger_debit(
        &self,
        domain: DomainId,
        token: LeaseToken,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Debit, StoreError> {
        let shared_now = self.steady.now();
        self.state().debit(domain, token, charges, now, shared_now)
    }

    async fn ledger_take(
        &self,
        key: &BucketKey,
        limit: &Limit,
        now: Timestamp,
        most: u32,
    ) -> Result<Taken, StoreError> {
        let shared_now = self.steady.now();
        Ok(self.state().take_tokens(key, limit, now, shared_now, most))
    }

    async fn ledger_apply(&self, entries: &[Entry], now: Timestamp) -> Result<(), StoreError> {
        self.state().apply_entries(None, entries, now);
        Ok(())
    }

    async fn ledger_bucket(&self, key: &BucketKey) -> Result<Bucket, StoreError> {
        Ok(self.state().bucket(key))
    }

    async fn ledger_buckets(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(BucketKey, Bucket)>, StoreError> {
        Ok(self.state().buckets_after(after, limit))
    }

    async fn ledger_lift(&self, key: &BucketKey) -> Result<(), StoreError> {
        self.state().lift_bucket(key);
        Ok(())
    }

    async fn ledger_compact(
        &self,
        limits: &CaLimits,
        now: Timestamp,
        _after: Option<&BucketKey>,
        _limit: u32,
    ) -> Result<Option<BucketKey>, StoreError> {
        self.state().compact_buckets(limits, now);
        Ok(None)
    }
}

#[async_trait]
impl OrderStore for MemoryStore {
    async fn order_insert(&self, order: &StoredOrder, token: LeaseToken) -> Result<(), StoreError> {
        self.state().order_insert(order, token)?;
        if let Some(witness) = &self.witness {
            witness.order_stored(order);
        }
        Ok(())
    }

    async fn order(&self, id: OrderId) -> Result<Option<StoredOrder>, StoreError> {
        Ok(self.state().order(id).cloned())
    }

    async fn order_open(&self, domain: DomainId) -> Result<Option<StoredOrder>, StoreError> {
        Ok(self.state().order_open(domain).cloned())
    }

    async fn order_put_key(
        &self,
        id: OrderId,
        key: &SealedSecret,
    ) -> Result<SealedSecret, StoreError> {
        self.state().order_put_key(id, key)
    }

    async fn order_close(&self, id: OrderId, now: Timestamp) -> Result<(), StoreError> {
        self.state().order_close(id, now);
        Ok(())
    }

    async fn challenge_put(&self, challenge: &StoredChallenge) -> Result<(), StoreError> {
        self.state().challenge_put(challenge)
    }

    async fn challenge(&self, order: OrderId) -> Result<Option<StoredChallenge>, StoreError> {
        Ok(self.state().challenge(order).cloned())
    }

    async fn challenge_delete(&self, order: OrderId) -> Result<(), StoreError> {
        self.state().challenge_delete(order);
        Ok(())
    }
}

#[async_trait]
impl IssuedStore for MemoryStore {
    async fn certificate_insert(
        &self,
        certificate: &NewCertificate,
    ) -> Result<StoredCertificate, StoreError> {
        let stored = self.state().certificate_insert(certificate)?;
        if let Some(witness) = &self.witness {
            witness.certificate_stored(&stored.certificate);
        }
        Ok(stored)
    }

    async fn certificate(
        &self,
        id: CertificateId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        Ok(self.state().certificate(id).cloned())
    }

    async fn certificates_valid(
        &self,
        domain: DomainId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        Ok(self.state().certificates_valid(domain, now, limit))
    }

    async fn generation_held(
        &self,
        domain: DomainId,
        token: LeaseToken,
    ) -> Result<Option<u64>, StoreError> {
        let state = self.state();
        let row = state.rows.get(&domain).filter(|row| row.is_held_by(token));
        let row = row.ok_or(StoreError::LeaseLost)?;
        let name = &row.record.hostname;
        let all = domain.is_take_down().then(|| state.rows.values());
        let rows = all.into_iter().flatten().chain([row]);
        let stored = rows.flat_map(|row| &row.certificates);
        let of_name = stored.filter(|stored| stored.certificate.hostname == *name);
        Ok(of_name.map(|stored| stored.generation).max())
    }

    async fn certificate_of_order(
        &self,
        order: OrderId,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        Ok(self.state().certificate_of_order(order).cloned())
    }

    async fn live_directories(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.state().live_directories())
    }

    async fn served(&self, after: Option<DomainId>, limit: u32) -> Result<Vec<Served>, StoreError> {
        Ok(self.state().served(after, limit))
    }

    async fn soonest_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().soonest_expiry())
    }
}

#[async_trait]
impl AccountStore for MemoryStore {
    async fn account(&self, directory_url: &str) -> Result<Option<StoredAccount>, StoreError> {
        Ok(self.state().accounts.get(directory_url).cloned())
    }

    async fn account_insert(&self, account: &StoredAccount) -> Result<StoredAccount, StoreError> {
        let mut state = self.state();
        let kept = state.accounts.entry(account.directory_url.clone());
        Ok(kept.or_insert_with(|| account.clone()).clone())
    }

    async fn account_set_url(&self, directory_url: &str, url: &str) -> Result<(), StoreError> {
        let mut state = self.state();
        let account = state.accounts.get_mut(directory_url);
        let account = account.ok_or_else(|| not_stored("acme_accounts", &directory_url))?;
        account.url = Some(url.to_owned());
        Ok(())
    }
}

#[async_trait]
impl OutboxStore for MemoryStore {
    async fn outbox_acquire(
        &self,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<OutboxLease>, StoreError> {
        Ok(self.state().reports_acquire(self.term(now, ttl), limit))
    }

    async fn outbox_count(&self, most: u32) -> Result<u32, StoreError> {
        Ok(self.state().reports_count(most))
    }

    async fn outbox_oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().reports_oldest())
    }

    async fn outbox_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().reports_next_due())
    }

    async fn outbox_finish(
        &self,
        lease: &OutboxLease,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        self.state().report_done(lease, version)
    }

    async fn outbox_retry(
        &self,
        lease: &OutboxLease,
        at: Timestamp,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        self.state().report_retry(lease, at, version)
    }

    async fn outbox_drop(&self, domain: DomainId) -> Result<(), StoreError> {
        self.state().reports_drop(domain);
        Ok(())
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn secrets(
        &self,
        purpose: SecretPurpose,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SecretRow>, StoreError> {
        let mut rows = self.state().secrets(purpose);
        rows.sort_by(|one, other| one.row.cmp(&other.row));
        rows.retain(|row| row.row.as_str() > after.unwrap_or_default());
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows)
    }

    async fn secret_replace(
        &self,
        row: &SecretRow,
        new: &SealedSecret,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        match state.secret(row).filter(|present| **present == row.sealed) {
            Some(place) => {
                *place = new.clone();
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

impl State {
    fn secrets(&self, purpose: SecretPurpose) -> Vec<SecretRow> {
        let row = |row: String, sealed: &SealedSecret| SecretRow {
            purpose,
            row,
            sealed: sealed.clone(),
        };
        let domains = self.rows.values();
        match purpose {
            SecretPurpose::AccountKey => {
                let accounts = self.accounts.values();
                accounts
                    .map(|account| row(account.directory_url.clone(), &account.key))
                    .collect()
            }
            SecretPurpose::OrderKey => domains
                .flat_map(|domain| &domain.orders)
                .filter_map(|order| Some(row(order.id.to_string(), order.key.as_ref()?)))
                .collect(),
            SecretPurpose::CertificateKey => domains
                .flat_map(|domain| &domain.certificates)
                .filter(|stored| !stored.certificate.key.0.is_empty())
                .map(|stored| row(stored.certificate.id.to_string(), &stored.certificate.key))
                .collect(),
        }
    }

    fn secret(&mut self, row: &SecretRow) -> Option<&mut SealedSecret> {
        match row.purpose {
            SecretPurpose::AccountKey => self
                .accounts
                .get_mut(&row.row)
                .map(|account| &mut account.key),
            SecretPurpose::OrderKey => {
                let id: OrderId = row.row.parse().ok()?;
                let domain = self.rows.get_mut(self.order_owners.get(&id)?)?;
                let order = domain.orders.iter_mut().find(|order| order.id == id)?;
                order.key.as_mut()
            }
            SecretPurpose::CertificateKey => {
                let id: CertificateId = row.row.parse().ok()?;
                let domain = self.rows.get_mut(self.certificate_owners.get(&id)?)?;
                let mut certificates = domain.certificates.iter_mut();
                let stored = certificates.find(|stored| stored.certificate.id == id)?;
                Some(&mut stored.certificate.key)
            }
        }
    }
}
