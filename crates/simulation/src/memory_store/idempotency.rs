//! Calls that carry an idempotency key, and their first answers.

use async_trait::async_trait;
use dps_application::ports::store::{IdempotencyStore, StoreError};
use dps_domain::Timestamp;
use dps_domain::idempotency::{KeptAnswer, KeptKey, KeyState, KeyedCall, MAX_KEYS};

use super::{MemoryStore, State};

impl State {
    /// Forgets keys of calls that began by then, at most `limit`.
    pub(super) fn prune_idempotency_keys(&mut self, until: Timestamp, limit: usize) -> u64 {
        let is_old = |_: &(String, String), kept: &mut KeptKey| kept.begun_at <= until;
        let old = self.idempotency.extract_if(.., is_old);
        old.take(limit).count() as u64
    }

    /// The key of the call that began then, if that is not answered.
    fn own_key(&mut self, call: &KeyedCall, begun_at: Timestamp) -> Option<&mut KeptKey> {
        let kept = self.idempotency.get_mut(&place(call));
        kept.filter(|kept| kept.begun_at == begun_at && kept.answer.is_none())
    }
}

fn place(call: &KeyedCall) -> (String, String) {
    (call.holder.clone(), call.key.clone())
}

#[async_trait]
impl IdempotencyStore for MemoryStore {
    async fn keyed_begin(&self, call: &KeyedCall, now: Timestamp) -> Result<KeyState, StoreError> {
        let mut state = self.state();
        let place = place(call);
        match state.idempotency.get(&place) {
            Some(kept) => {
                if let Some(known) = kept.state_of(call, now) {
                    return Ok(known);
                }
            }
            None => {
                let mut held = state.idempotency.keys();
                let held = held.by_ref().filter(|(holder, _)| *holder == call.holder);
                if held.count() >= MAX_KEYS as usize {
                    return Ok(KeyState::TooMany);
                }
            }
        }
        let kept = KeptKey {
            fingerprint: call.fingerprint.clone(),
            begun_at: now,
            answer: None,
        };
        state.idempotency.insert(place, kept);
        Ok(KeyState::New)
    }

    async fn keyed_answer(
        &self,
        call: &KeyedCall,
        begun_at: Timestamp,
        answer: &KeptAnswer,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let own = state.own_key(call, begun_at);
        Ok(own.map(|kept| kept.answer = Some(answer.clone())).is_some())
    }

    async fn keyed_release(&self, call: &KeyedCall, begun_at: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.own_key(call, begun_at).is_some() {
            state.idempotency.remove(&place(call));
        }
        Ok(())
    }
}
