//! The service's polling by status.

use std::collections::BTreeSet;

use dps_cabinet_api::StatusReport;
use dps_domain::Status;
use reqwest::Method;
use serde_json::json;

use crate::world::{World, answer, hosts, on_both_databases};

/// Walks through all pages of a list.
async fn walk(world: &World, query: &str) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.read(&format!("{query}{cursor}")).await;
        seen.extend(hosts(&page));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

on_both_databases! {
    async fn paging_gives_each_domain_once_in_order_of_creation(database: Database) {
        let world = World::on(&database).await;
        let names: Vec<String> = (0..7).rev().map(|n| format!("n{n}.example.com")).collect();
        for name in &names {
            world.created(name).await;
        }
        for limit in [1, 2, 3, 7, 500] {
            assert_eq!(walk(&world, &format!("?status=PendingDns&limit={limit}")).await, names);
        }
        assert_eq!(walk(&world, "?limit=4").await, names);
        assert_eq!(walk(&world, "?status=Active&limit=4").await, Vec::<String>::new());
    }

    async fn a_status_list_follows_the_status(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("a.example.com").await;
        world.created("b.example.com").await;
        answer(world.report(&id, 1, &StatusReport::of(Status::Issuing)).await, 200).await;
        assert_eq!(walk(&world, "?status=Issuing&limit=9").await, ["a.example.com"]);
        assert_eq!(walk(&world, "?status=PendingDns&limit=9").await, ["b.example.com"]);
    }

    async fn concurrent_creation_neither_skips_nor_repeats_for_one_who_pages_meanwhile(database: Database) {
        let world = World::on(&database).await;
        let creating: Vec<_> = (0..4)
            .map(|writer| {
                let calls: Vec<_> = (0..25)
                    .map(|n| {
                        let body = json!({"hostname": format!("w{writer}-{n}.example.com"), "tenantId": "t"});
                        world.platform(Method::POST, "").json(&body)
                    })
                    .collect();
                tokio::spawn(async move {
                    for call in calls {
                        assert_eq!(call.send().await.unwrap().status(), 201);
                    }
                })
            })
            .collect();
        // Follows the end of the list while it grows: each page continues after the last domain
        // seen.
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let done = creating.iter().all(tokio::task::JoinHandle::is_finished);
            let page = world.read(&format!("/changes?limit=7{cursor}")).await;
            let found = hosts(&page);
            let empty = found.is_empty();
            seen.extend(found);
            cursor = format!("&after={}", page["nextCursor"].as_str().unwrap());
            if done && empty {
                break;
            }
        }
        for task in creating {
            task.await.unwrap();
        }
        assert_eq!(seen.len(), 100);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 100);
        assert_eq!(walk(&world, "?limit=9").await, seen, "list and feed agree on the order of creation");
    }
}
