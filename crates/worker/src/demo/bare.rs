//! The measure of speed: one ACME exchange with nothing around it, against the same Pebble and
//! through the same HAProxy.

use std::time::Duration;

use anyhow::{Context as _, bail};
use dps_application::ports::ca::{Account, AuthorizationView, OrderStatus};
use dps_domain::Hostname;

use super::cast::EDGE;
use super::world::World;

const HOST: &str = "bare.exchange.test";
const POLLS: usize = 500;
/// The pause between two polls of the order.
const PAUSE: Duration = Duration::from_millis(10);

/// Registers an account, then times order, challenge, finalize and certificate.
pub(super) async fn exchange(world: &World) -> anyhow::Result<Duration> {
    world.zone.set_a(HOST, &[EDGE]);
    let service = &world.standalone.service;
    let host = Hostname::parse(HOST)?;
    let ca = service.ca.as_ref();
    let key = ca.new_account_key()?;
    let account = Account {
        url: ca.register(&key).await?,
        key,
    };

    let began = world.now();
    let order = ca.new_order(&account, &host, None).await?;
    let AuthorizationView::Pending(challenge) = ca.authorization(&account, &order).await? else {
        bail!("a new name needs no validation");
    };
    let members = service.fleet.members();
    let edge = members.first().context("no edge")?;
    edge.publish_challenge(&challenge.token, &challenge.key_authorization)
        .await?;
    ca.acknowledge(&account, &order, &challenge).await?;
    let mut finalized = false;
    for _ in 0..POLLS {
        match ca.order(&account, &order).await?.status {
            OrderStatus::Ready if !finalized => {
                let certificate_key = service.pki.new_key()?;
                let request = service.pki.signing_request(&certificate_key, &host)?;
                ca.finalize(&account, &order, &request).await?;
                finalized = true;
            }
            OrderStatus::Valid => {
                ca.certificate(&account, &order).await?;
                let took = world.now().since(began);
                edge.withdraw_challenge(&challenge.token).await?;
                return Ok(took);
            }
            OrderStatus::Invalid => bail!("the order became invalid"),
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    bail!("the order was not issued")
}
