//! The CA's directory (RFC 8555 §7.1.1): fetched once, then again every day or after a failure.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dps_domain::Timestamp;
use serde::Deserialize;

const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The last directory that was good.
#[derive(Default)]
pub(super) struct DirectoryCache(Mutex<State>);

#[derive(Default)]
struct State {
    generation: u64,
    current: Option<Cached>,
}

struct Cached {
    body: Bytes,
    fetched_at: Timestamp,
    terms_of_service: Option<String>,
    renewal_info: Option<String>,
}

/// Just enough to tell a directory from another document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    #[serde(rename = "newNonce")]
    _new_nonce: String,
    #[serde(rename = "newAccount")]
    _new_account: String,
    #[serde(rename = "newOrder")]
    _new_order: String,
    renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
}

impl DirectoryCache {
    /// The directory as it was fetched, while it is fresh.
    pub(super) fn body(&self, now: Timestamp) -> Option<Bytes> {
        self.fresh(now, |_, cached| cached.body.clone())
    }

    /// Which directory is fresh now; another one has another number.
    pub(super) fn generation(&self, now: Timestamp) -> Option<u64> {
        self.fresh(now, |generation, _| generation)
    }

    /// Where the fresh directory says its terms of service are.
    pub(super) fn terms_of_service(&self, now: Timestamp) -> Option<String> {
        self.fresh(now, |_, cached| cached.terms_of_service.clone())
            .flatten()
    }

    /// Where the fresh directory says its renewal information is (RFC 9773 §3).
    pub(super) fn renewal_info(&self, now: Timestamp) -> Option<String> {
        self.fresh(now, |_, cached| cached.renewal_info.clone()).flatten()
    }

    /// Keeps a directory that was fetched at `now`, unless it is none.
    pub(super) fn keep(&self, body: &Bytes, now: Timestamp) {
        let Ok(directory) = serde_json::from_slice::<Directory>(body) else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        state.current = Some(Cached {
            body: body.clone(),
            fetched_at: now,
            terms_of_service: directory.meta.terms_of_service,
            renewal_info: directory.renewal_info,
        });
    }

    /// Drops the directory, so that the next call fetches it.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).current = None;
    }

    fn fresh<T>(&self, now: Timestamp, read: impl FnOnce(u64, &Cached) -> T) -> Option<T> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = state.current.as_ref()?;
        (now.since(cached.fetched_at) < LIFETIME).then(|| read(state.generation, cached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: Bytes = Bytes::from_static(
        br#"{"newNonce":"n","newAccount":"a","newOrder":"o","meta":{"termsOfService":"https://ca.example/terms"}}"#,
    );

    #[test]
    fn a_directory_serves_for_a_day() {
        let (cache, now) = (DirectoryCache::default(), Timestamp::EPOCH);
        cache.keep(&BODY, now);
        let almost = now + LIFETIME - Duration::from_secs(1);
        assert_eq!(cache.body(almost), Some(BODY));
        assert_eq!(
            cache.terms_of_service(almost).as_deref(),
            Some("https://ca.example/terms")
        );
        assert_eq!(cache.body(now + LIFETIME), None);
    }

    #[test]
    fn another_directory_has_another_generation_and_a_foreign_document_is_not_kept() {
        let (cache, now) = (DirectoryCache::default(), Timestamp::EPOCH);
        cache.keep(&Bytes::from_static(b"{\"hello\":1}"), now);
        assert_eq!(cache.generation(now), None);
        cache.keep(&BODY, now);
        let first = cache.generation(now);
        cache.forget();
        assert_eq!(cache.generation(now), None);
        cache.keep(&BODY, now);
        assert_ne!(cache.generation(now), first);
    }
}
