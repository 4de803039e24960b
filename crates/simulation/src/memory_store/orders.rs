//! Orders and their published challenges.

use dps_application::ports::store::{StoreError, StoredChallenge, StoredOrder};
use dps_application::ports::vault::SealedSecret;
use dps_domain::{DomainId, LeaseToken, OrderId, Timestamp};

use super::row::Row;
use super::{State, no_such_record, not_stored};

impl State {
    pub(super) fn order_insert(
        &mut self,
        order: &StoredOrder,
        token: LeaseToken,
    ) -> Result<(), StoreError> {
        let row = self.rows.get_mut(&order.domain_id);
        let row = row.filter(|row| row.is_held_by(token));
        let row = row.ok_or(StoreError::LeaseLost)?;
        if order.open {
            for other in row
                .orders
                .iter_mut()
                .filter(|other| other.open && other.id != order.id)
            {
                (other.open, other.key) = (false, None);
                self.due.end(other.id, order.created_at);
            }
        }
        self.due.not_ended(order.id);
        match row.orders.iter_mut().find(|stored| stored.id == order.id) {
            Some(stored) => stored.open = order.open,
            None => row.orders.push(order.clone()),
        }
        self.order_owners.insert(order.id, order.domain_id);
        Ok(())
    }

    pub(super) fn order(&self, id: OrderId) -> Option<&StoredOrder> {
        let row = self.rows.get(self.order_owners.get(&id)?)?;
        row.orders.iter().find(|order| order.id == id)
    }

    pub(super) fn order_open(&self, domain: DomainId) -> Option<&StoredOrder> {
        let row = self.rows.get(&domain)?;
        row.orders.iter().find(|order| order.open)
    }

    fn owner(&mut self, id: OrderId) -> Option<&mut Row> {
        self.rows.get_mut(self.order_owners.get(&id)?)
    }

    pub(super) fn order_mut(&mut self, id: OrderId) -> Option<&mut StoredOrder> {
        let mut orders = self.owner(id)?.orders.iter_mut();
        orders.find(|order| order.id == id)
    }

    pub(super) fn order_put_key(
        &mut self,
        id: OrderId,
        key: &SealedSecret,
    ) -> Result<SealedSecret, StoreError> {
        let is_complete = self.certificate_of_order(id).is_some();
        let order = self.order_mut(id);
        let order = order.ok_or_else(|| not_stored("acme_orders", &id))?;
        if is_complete {
            return Err(StoreError::LeaseLost);
        }
        Ok(order.key.get_or_insert_with(|| key.clone()).clone())
    }

    pub(super) fn order_close(&mut self, id: OrderId, now: Timestamp) {
        let has_certificate = self.certificate_of_order(id).is_some();
        let Some(order) = self.order_mut(id) else {
            return;
        };
        order.open = false;
        if !has_certificate {
            self.due.end(id, now);
        }
    }

    /// The order's certificate is stored, and its key with it.
    pub(super) fn order_complete(&mut self, id: OrderId) {
        if let Some(order) = self.order_mut(id) {
            (order.open, order.key) = (false, None);
        }
        self.due.not_ended(id);
    }

    pub(super) fn challenge_put(&mut self, challenge: &StoredChallenge) -> Result<(), StoreError> {
        let row = self.owner(challenge.order_id);
        let row = row.ok_or_else(|| no_such_record("store a challenge"))?;
        row.challenges
            .retain(|other| other.order_id != challenge.order_id);
        row.challenges.push(challenge.clone());
        self.due.challenges.insert(challenge.order_id);
        Ok(())
    }

    pub(super) fn challenge(&self, order: OrderId) -> Option<&StoredChallenge> {
        let row = self.rows.get(self.order_owners.get(&order)?)?;
        row.challenges
            .iter()
            .find(|challenge| challenge.order_id == order)
    }

    pub(super) fn challenge_delete(&mut self, order: OrderId) {
        self.due.challenges.remove(&order);
        if let Some(row) = self.owner(order) {
            row.challenges
                .retain(|challenge| challenge.order_id != order);
        }
    }
}
