//! The CA's directory (RFC 8555 §7.1.1): fetched once, then again every day or after a failure.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dps_domain::limits::Endpoint;
use dps_domain::{Hostname, Timestamp};
use serde::Deserialize;

const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The last directory that was good.
#[derive(Default)]
pub(super) struct DirectoryCache(Mutex<State>);

#[derive(Default)]
struct State {
    generation: u64,
    current: Option<Cached>,
    /// Kept when the directory is dropped.
    caa_identities: Vec<String>,
}

struct Cached {
    body: Bytes,
    fetched_at: Timestamp,
    directory: Directory,
}

/// Just enough to distinguish a directory from another document.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    new_nonce: String,
    new_account: String,
    new_order: String,
    revoke_cert: Option<String>,
    renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    terms_of_service: Option<String>,
    #[serde(default)]
    caa_identities: Vec<String>,
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
        self.fresh(now, |_, cached| {
            cached.directory.meta.terms_of_service.clone()
        })
        .flatten()
    }

    /// The names by which CAA records allow the CA (RFC 8659 §4.2), in the directory that was kept
    /// last, however old it is. Names that are no hostnames are left out.
    pub(super) fn caa_identities(&self) -> Vec<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.caa_identities.clone()
    }

    /// Where the fresh directory says its renewal information is (RFC 9773 §3).
    pub(super) fn renewal_info(&self, now: Timestamp) -> Option<String> {
        self.fresh(now, |_, cached| cached.directory.renewal_info.clone())
            .flatten()
    }

    /// Which resource of the fresh directory a URL is.
    pub(super) fn endpoint(&self, url: &str, now: Timestamp) -> Endpoint {
        let found = self.fresh(now, |_, cached| {
            let directory = &cached.directory;
            let is = |resource: &Option<String>| resource.as_deref() == Some(url);
            match url {
                _ if url == directory.new_nonce => Endpoint::NewNonce,
                _ if url == directory.new_account => Endpoint::NewAccount,
                _ if url == directory.new_order => Endpoint::NewOrder,
                _ if is(&directory.revoke_cert) => Endpoint::RevokeCert,
                _ if directory
                    .renewal_info
                    .as_ref()
                    .is_some_and(|info| url.starts_with(info.as_str())) =>
                {
                    Endpoint::RenewalInfo
                }
                _ => Endpoint::Other,
            }
        });
        found.unwrap_or(Endpoint::Other)
    }

    /// Keeps a directory that was fetched at `now`, unless it is none.
    pub(super) fn keep(&self, body: &Bytes, now: Timestamp) {
        let Ok(directory) = serde_json::from_slice::<Directory>(body) else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.generation += 1;
        let named = directory.meta.caa_identities.iter();
        state.caa_identities = named
            .filter_map(|name| Some(Hostname::parse(name).ok()?.to_string()))
            .collect();
        state.current = Some(Cached {
            body: body.clone(),
            fetched_at: now,
            directory,
        });
    }

    /// Drops the directory, so that the next call fetches it.
    pub(super) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .current = None;
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
