//! The wrong CA never replaces the right certificate: neither another directory nor another root.

use dps_lab::acme_double::{AcmeDouble, Endpoint};
use dps_lab::tls::LocalAuthority;
use dps_lab::wait;

use crate::world::{Options, TIMEOUT, World, dps};

const HOST: &str = "shop.bakery.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_to_another_root_is_not_served_and_is_when_the_root_is_trusted() {
    let world = World::start(Options::quick()).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let before = world.visit(HOST).await;
    world.trust(&LocalAuthority::new().unwrap().root_pem());
    assert!(
        dps(world.home(), &["domains", "renew", HOST])
            .status
            .success()
    );
    let domain = world.wait_for_code(&id, "INTERNAL").await;
    assert_eq!(domain["status"], "Active", "{domain}");
    assert_eq!(world.visit(HOST).await, before);
    let shown = dps(world.home(), &["domains", "show", HOST]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("does not lead to a trusted root"), "{shown}");

    // The certificate that was paid for is taken up, not ordered anew.
    world.trust(&world.root_pem);
    assert!(
        dps(world.home(), &["domains", "retry", HOST])
            .status
            .success()
    );
    let renewed = wait::until("the renewed certificate", TIMEOUT, || async {
        (world.visit(HOST).await != before).then_some(())
    });
    renewed
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    assert_eq!(world.pebble.orders_for(HOST), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_service_starts_with_another_directory_until_the_operator_accepts_it_once() {
    let mut world = World::start(Options::quick()).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let other = AcmeDouble::start().await.unwrap();
    let url = other.directory_url();
    let another = ("LetsEncrypt__DirectoryUrl", url.as_str());
    for role in ["run", "standalone"] {
        if role == "standalone" {
            // It has a Cabinet and an agent of its own.
            world.cabinet.kill().unwrap();
            world.agent.kill().unwrap();
        }
        let said = world.start_in_vain(role, &[another]).await;
        let ours = world.pebble.directory_url();
        for word in [
            ours.as_str(),
            &url,
            "LetsEncrypt:AcceptDirectoryChange",
            "LetsEncrypt:DirectoryUrl",
        ] {
            assert!(said.contains(word), "{role}: {said}");
        }
    }
    assert_eq!(
        other.requests(Endpoint::Directory),
        0,
        "nobody is asked before"
    );
    let accepted = ("LetsEncrypt__AcceptDirectoryChange", "true");
    world.start_service_again_with(&[another, accepted]).await;
    world.start_service_again_with(&[another]).await;
    // The way back needs no word while everything that is served comes from there.
    world.start_service_again_with(&[]).await;
}
