//! Right and wrong requests, made from the `OpenAPI` document.

use dps_api_check::{ApiCheck, Document, KnownValues};
use serde_json::json;

use crate::world::{API_TOKEN, SERVICE_TOKEN, World, on_both_databases};

on_both_databases! {
    async fn answers_to_right_and_wrong_requests_are_those_of_the_document(database: Database) {
        let world = World::on(&database).await;
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(json!(world.created(&format!("shop{n}.example.com")).await));
        }
        let document = serde_json::to_value(dps_cabinet::openapi_document()).unwrap();
        let check = ApiCheck {
            document: Document::new(document),
            base: world.base.parse().unwrap(),
            tokens: vec![
                ("/internal/", SERVICE_TOKEN.to_owned()),
                ("/api/", API_TOKEN.to_owned()),
            ],
            known: KnownValues::from([
                ("id", ids),
                ("hostname", vec![json!("www.example.org"), json!("shop1.example.com")]),
                ("tenantId", vec![json!("t1"), json!("t2")]),
                ("cnameTarget", vec![json!(null)]),
                ("status", vec![json!("PendingHttpProbe"), json!("Failed")]),
                ("If-Match", vec![json!("\"1\""), json!("\"2\"")]),
                ("cursor", vec![]),
                ("after", vec![]),
                ("wait", vec![json!(0)]),
            ]),
            allowed_faults: Vec::new(),
            requests: 60,
            seed: 1,
        };
        let report = check.run().await.unwrap();
        assert_eq!(report.without_success(), Vec::<&str>::new(), "{report:?}");
    }
}
