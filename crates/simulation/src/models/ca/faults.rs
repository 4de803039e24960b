//! Faults of accounts and orders, and changes of what the CA issues and suggests.

use std::time::Duration;

use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{Failure, Timestamp};

use super::order::Stage;
use super::{CaModel, Suggestions};
use crate::models::pki::Leaf;
use crate::models::tally::locked;

impl CaModel {
    /// How long certificates are valid from now on.
    pub fn issue_for(&self, lifetime: Duration) {
        locked(&self.validity).lifetime = lifetime;
    }

    /// How much of their lifetime certificates have behind them when they are issued.
    pub fn backdate(&self, by: Duration) {
        locked(&self.validity).backdated = by;
    }

    /// Suggests this window for every certificate from now on.
    pub fn suggest(&self, window: SuggestedWindow, ask_again_after: Duration) {
        locked(&self.state).renewal_info = Suggestions::Always {
            window,
            ask_again_after,
        };
    }

    /// Loses our account, and gives the next one another URL.
    pub fn forget_account(&self) {
        let mut state = locked(&self.state);
        state.registered = false;
        state.account += 1;
    }

    /// An order becomes invalid, for this reason if the CA gives one.
    pub fn invalidate(&self, order_url: &str, failure: Option<Failure>) {
        self.set_stage(order_url, Stage::Invalid(failure));
    }

    /// An order is finalized, and stays in processing.
    pub fn hold(&self, order_url: &str) {
        let leaf = Leaf {
            name: String::new(),
            serial: 0,
            not_before: Timestamp::EPOCH,
            not_after: Timestamp::EPOCH,
        };
        let from = Timestamp::NEVER;
        self.set_stage(order_url, Stage::Issued { from, leaf });
    }

    fn set_stage(&self, order_url: &str, stage: Stage) {
        if let Ok((_, order)) = self.find(&mut locked(&self.state), order_url) {
            order.stage = stage;
        }
    }

    /// Every order becomes invalid for this reason.
    pub fn invalidate_all(&self, failure: &Failure) {
        for order in locked(&self.state).orders.values_mut() {
            order.stage = Stage::Invalid(Some(failure.clone()));
        }
    }

    /// Nothing is known any more of any order that gave no certificate.
    pub fn forget_unfinished(&self) {
        let now = self.time.now();
        for order in locked(&self.state).orders.values_mut() {
            if !matches!(order.stage, Stage::Issued { from, .. } if from <= now) {
                order.stage = Stage::Invalid(None);
            }
        }
    }

    /// How many orders gave a certificate.
    pub fn valid_orders(&self) -> usize {
        let now = self.time.now();
        let state = locked(&self.state);
        let valid = state
            .orders
            .values()
            .filter(|order| matches!(order.stage, Stage::Issued { from, .. } if from <= now));
        valid.count()
    }
}
