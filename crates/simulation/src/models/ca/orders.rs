//! The life of an order: placed, validated, issued.

use std::time::Duration;

use dps_application::ports::ca::{CaError, Http01, OrderStatus, OrderView};
use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{Failure, Hostname, Purpose, Timestamp, Until};

use super::order::{ORDER_LIFETIME, Order, Stage};
use super::{ACCOUNT, CaModel, NameState, State, account_url};
use crate::models::pki::{Leaf, read_ari_id};
use crate::models::tally::locked;
use crate::time::since;

const ORDERS: &str = "https://ca.test/order/";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// `Retry-After` that Boulder sends with an order while it issues the certificate.
const WHILE_ISSUING: Duration = Duration::from_secs(3);
/// Time after a name stops pointing at us in which an order for it is no fault of the service.
const JUST_LEFT: Duration = Duration::from_secs(10 * 60);

pub(super) fn http_01(order: u64) -> Http01 {
    Http01 {
        url: format!("https://ca.test/challenge/{order}"),
        token: format!("t{order}"),
        key_authorization: format!("t{order}.k"),
    }
}

impl CaModel {
    pub(super) fn window(&self, name: NameState, serial: u64) -> Option<SuggestedWindow> {
        let lifetime = locked(&self.validity).lifetime;
        let now = self.time.now();
        if name.is_revoked && name.serial == serial {
            return SuggestedWindow::new(now - 60 * MINUTE, now - 30 * MINUTE).ok();
        }
        let middle = if lifetime < 10 * DAY {
            lifetime / 2
        } else {
            lifetime * 2 / 3
        };
        let middle = Timestamp::from_unix_micros(name.not_before) + middle;
        SuggestedWindow::new(middle - lifetime / 100, middle + lifetime / 100).ok()
    }

    /// Whether an order that names this predecessor is free of all limits.
    fn replaces(&self, state: &State, number: u32, replaces: Option<&str>) -> bool {
        let Some((of, serial)) = replaces.and_then(read_ari_id) else {
            return false;
        };
        let is_of_it = self.names.book.number(of) == Some(number);
        let name = state.names.get(number);
        if !is_of_it || name.serial != serial {
            return false;
        }
        let window = self.window(name, serial);
        window.is_some_and(|window| window.contains(self.time.now()))
    }

    pub(super) fn place(
        &self,
        state: &mut State,
        account: &str,
        host: &Hostname,
        replaces: Option<&str>,
    ) -> Result<String, CaError> {
        let now = self.time.now();
        if !state.registered || account != account_url(state.account) {
            return Err(CaError::Account {
                detail: "accountDoesNotExist".into(),
            });
        }
        let Some(number) = self.names.book.number(host.as_str()) else {
            return Err(CaError::RejectedIdentifier {
                detail: "nobody's name".into(),
            });
        };
        let replaces = self.replaces(state, number, replaces);
        if !self.settings.limits_lifted {
            let counted = state
                .counters
                .new_order(since(now), ACCOUNT, host.as_str(), replaces);
            if let Err(refusal) = counted {
                return Err(self.refused(state, refusal));
            }
        }
        self.tallies.orders.count();
        if replaces {
            self.tallies.orders_that_replace.count();
        }
        let left = self.names.away_since(number);
        if left.is_some_and(|left| now.since(left) > JUST_LEFT) {
            self.tallies.orders_for_moved_away.count();
        }
        let earlier = state.names.get(number).order;
        if self.settings.reuses_orders
            && let Some(order) = state.orders.get(&earlier)
        {
            if order.is_live(now) {
                // As Boulder does: the same names, the same account, the same order.
                self.tallies.orders_again_while_one_was_live.count();
                // The order may be that of the tenant who had the name before.
                let has_cause = self.names.claims.has_changed_hands(number);
                if self.causes() == order.causes_before && !has_cause {
                    self.tallies.orders_doubled_without_cause.count();
                }
                return Ok(format!("{ORDERS}{earlier}"));
            }
            state.orders.remove(&earlier);
        }
        state.orders_placed += 1;
        let id = state.orders_placed;
        state.names.get_mut(number).order = id;
        let order = Order {
            number,
            name: host.as_str().to_owned(),
            replaces,
            placed_at: now,
            causes_before: self.causes(),
            stage: Stage::Pending,
        };
        state.orders.insert(id, order);
        Ok(format!("{ORDERS}{id}"))
    }

    /// Counts the events by which a replica may not learn of its order: deaths of replicas and lost
    /// answers.
    fn causes(&self) -> u64 {
        self.crashes.get() + self.line.responses_lost()
    }

    pub(super) fn find<'a>(
        &self,
        state: &'a mut State,
        url: &str,
    ) -> Result<(u64, &'a mut Order), CaError> {
        let gone = || CaError::OrderGone {
            detail: "no such order".into(),
        };
        let id: u64 = url
            .strip_prefix(ORDERS)
            .and_then(|id| id.parse().ok())
            .ok_or_else(gone)?;
        let now = self.time.now();
        let order = state.orders.get_mut(&id).ok_or_else(gone)?;
        let unfinished = matches!(
            order.stage,
            Stage::Pending | Stage::Validating | Stage::Ready
        );
        if unfinished && now.since(order.placed_at) >= ORDER_LIFETIME {
            return Err(gone());
        }
        Ok((id, order))
    }

    pub(super) fn validate(&self, id: u64) {
        let now = since(self.time.now());
        let mut state = locked(&self.state);
        let state = &mut *state;
        let Some(order) = state.orders.get_mut(&id) else {
            return;
        };
        let points_at_us = self.names.pointing_since(order.number).is_some();
        let challenge = http_01(id);
        let failure = if !points_at_us {
            Some(("dns", "the name does not exist"))
        } else if !self
            .edges
            .answers(&challenge.token, &challenge.key_authorization)
        {
            Some(("connection", "nobody answers at one of the addresses"))
        } else {
            None
        };
        match failure {
            None => {
                state.counters.validated(ACCOUNT, &order.name);
                order.stage = Stage::Ready;
            }
            Some((sub_cause, detail)) => {
                self.tallies.failed_validations.count();
                if !self.settings.limits_lifted {
                    state.counters.validation_failed(now, ACCOUNT, &order.name);
                }
                order.stage = Stage::Invalid(Some(Failure::AcmeValidationFailed {
                    sub_cause: sub_cause.into(),
                    detail: detail.into(),
                    reached_by_us: false,
                }));
            }
        }
    }

    pub(super) fn issue(&self, state: &mut State, url: &str) -> Result<(), CaError> {
        let now = self.time.now();
        let (_, order) = self.find(state, url)?;
        if !matches!(order.stage, Stage::Ready) {
            return Err(CaError::OrderGone {
                detail: "the order is not ready".into(),
            });
        }
        let (number, name, replaces) = (order.number, order.name.clone(), order.replaces);
        let validity = *locked(&self.validity);
        let not_before = now - validity.backdated;
        state.serials += 1;
        let serial = state.serials;
        let leaf = Leaf {
            name: name.clone(),
            serial,
            not_before,
            not_after: not_before + validity.lifetime,
        };
        let from = now + self.settings.issues_after;
        if let Ok((_, order)) = self.find(state, url) {
            order.stage = Stage::Issued { from, leaf };
        }
        state.unfetched.insert(serial, number);
        self.tallies.issued.count();
        if !self.settings.limits_lifted {
            state.counters.issued(since(now), &name, replaces);
        }
        let known = state.names.get_mut(number);
        known.serial = serial;
        known.not_before = not_before.unix_micros();
        known.is_revoked = false;
        Ok(())
    }

    pub(super) fn view(&self, order: &Order) -> OrderView {
        let now = self.time.now();
        let view = |status| OrderView {
            status,
            retry_after: None,
            expires: Some(order.placed_at + ORDER_LIFETIME),
            failure: None,
        };
        match &order.stage {
            Stage::Pending | Stage::Validating => view(OrderStatus::Pending),
            Stage::Ready => view(OrderStatus::Ready),
            Stage::Issued { from, .. } if *from > now => OrderView {
                retry_after: Some(Until::named(now + WHILE_ISSUING, now, Purpose::Poll)),
                ..view(OrderStatus::Processing)
            },
            Stage::Issued { .. } => view(OrderStatus::Valid),
            Stage::Invalid(failure) => OrderView {
                failure: failure.clone(),
                ..view(OrderStatus::Invalid)
            },
        }
    }
}
