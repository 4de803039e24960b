//! The setup page over HTTP, as a browser and as an attacker calls it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use dps_cabinet::{Settings, SetupPageSettings};
use dps_cabinet_api::{OwnershipVerification, ProblemCode, StatusReport};
use dps_domain::{FailureCode, Status};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{World, answer, on_both_databases};

const PUBLIC_URL: &str = "https://setup.platform.example/domains";
/// Texts that would change a page if they were not escaped.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'--></style></title><svg/onload=alert(1)>",
    "{{ 7 * 7 }} {% include \"/etc/passwd\" %} ${7*7}",
    "javascript:alert(1)//",
    "\u{202e}gpj.exe\u{2028}&#60;b&#62;",
];

/// Turns the page on.
fn page_on(settings: &mut Settings) {
    let folder = tempfile::tempdir().unwrap().keep();
    let key_file = folder.join("setup.key");
    std::fs::write(&key_file, "a secret of at least 32 characters\n").unwrap();
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    settings.setup_page = SetupPageSettings {
        key_file: Some(key_file),
        public_url: Some(format!("{PUBLIC_URL}/")),
        ..SetupPageSettings::default()
    };
}

async fn world_with_page(database: &crate::world::Database) -> World {
    World::with(database, page_on).await
}

/// The path of the link to a domain's page, which the proxy at the public address passes on.
async fn link(world: &World, id: &str) -> String {
    let response = world.platform(Method::GET, &format!("/{id}")).send().await;
    let view = answer(response.unwrap(), 200).await;
    let url = view["setupUrl"].as_str().unwrap();
    url.strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

async fn get(world: &World, path: &str) -> Response {
    world.bare(Method::GET, path).send().await.unwrap()
}

/// The text of a page that must have the given status.
async fn html(response: Response, status: StatusCode) -> String {
    assert_eq!(response.status(), status);
    assert_protected(response.headers());
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    let text = response.text().await.unwrap();
    assert_no_inline_code(&text);
    text
}

fn assert_protected(headers: &HeaderMap) {
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
}

fn assert_no_inline_code(html: &str) {
    assert!(!html.contains("<style"), "{html}");
    assert!(!html.contains(" style="), "{html}");
    for script in html.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"assets/"), "{html}");
    }
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let is_handler = |word: &str| word.starts_with("on") && word.contains('=');
        assert!(!tag.split_ascii_whitespace().any(is_handler), "{tag}");
    }
}

/// The address to which a call leads, without following it.
async fn led_to(world: &World, method: Method, path: &str) -> String {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let address = format!("http://{}{path}", world.address());
    let response = client.request(method, address).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_protected(response.headers());
    response.headers()[LOCATION].to_str().unwrap().to_owned()
}

fn report(failure: &Value, message: &str) -> StatusReport {
    StatusReport {
        last_error_code: failure["code"].as_str().map(str::to_owned),
        last_error_message: Some(message.to_owned()),
        error_details: failure.as_object().cloned(),
        ..StatusReport::of(Status::PendingDns)
    }
}

on_both_databases! {
    async fn the_platform_gets_a_link_and_its_holder_reads_what_to_do(database: Database) {
        let world = world_with_page(&database).await;
        let created = answer(world.create("Shop.Bücher.Example").await, 201).await;
        let url = created["setupUrl"].as_str().unwrap().to_owned();
        assert_eq!(url.len(), format!("{PUBLIC_URL}/setup/{}?sig=", created["id"].as_str().unwrap()).len() + 54);
        let path = link(&world, created["id"].as_str().unwrap()).await;
        assert!(url.ends_with(&path), "the same link within an hour");
        let page = html(get(&world, &path).await, StatusCode::OK).await;
        for text in [
            "<html lang=\"en\">", "Connect shop.bücher.example", "<code>CNAME</code>",
            ">shop</code>", ">edge.platform.example.</code>", "DNS records for bücher.example",
            "data-poll=\"4\"", "Check again",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        let head = world.bare(Method::HEAD, &path).send().await.unwrap();
        assert_protected(head.headers());
        assert_eq!((head.status(), head.text().await.unwrap().as_str()), (StatusCode::OK, ""));
        let listed = world.platform(Method::GET, "?limit=1").send().await.unwrap();
        assert_eq!(answer(listed, 200).await["items"][0]["setupUrl"], url);
        // The service has no use for it.
        let internal = world.read(&format!("/{}", created["id"].as_str().unwrap())).await;
        assert!(internal.get("setupUrl").is_none());
    }

    async fn no_other_signature_opens_a_page_and_nothing_says_whether_the_domain_exists(database: Database) {
        let world = world_with_page(&database).await;
        let (id, other) = (world.created("a.example.com").await, world.created("b.example.com").await);
        let path = link(&world, &id).await;
        let signature = path.split_once("sig=").unwrap().1;
        let nobody = "018bcfe5-6800-7000-8000-0000000000ff";
        let mut answers = Vec::new();
        for path in [
            format!("/setup/{other}?sig={signature}"),
            format!("/setup/{nobody}?sig={signature}"),
            format!("/setup/{id}?sig="),
            format!("/setup/{id}"),
            format!("/setup/{nobody}"),
            format!("/setup/{id}?sig={}", "A".repeat(54)),
            format!("/setup/{id}?sig={signature}A"),
            format!("/setup/{id}?sig=%00%ff&sig={signature}"),
            "/setup/not-an-id?sig=x".to_owned(),
        ] {
            answers.push(html(get(&world, &path).await, StatusCode::NOT_FOUND).await);
            let check = path.replace('?', "/check?");
            if check != path {
                let response = world.bare(Method::POST, &check).send().await.unwrap();
                html(response, StatusCode::NOT_FOUND).await;
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0].contains("This link does not work"));
        html(get(&world, &path).await, StatusCode::OK).await;
        world.advance(Duration::from_secs(29 * 24 * 3600));
        html(get(&world, &path).await, StatusCode::OK).await;
        world.advance(Duration::from_secs(24 * 3600 + 3600));
        let expired = html(get(&world, &path).await, StatusCode::NOT_FOUND).await;
        assert_eq!(expired, answers[0]);
        // The tokens of the API open no page, and a signature opens no API.
        let token = world.platform(Method::GET, &format!("/{id}?sig={signature}"));
        assert_eq!(token.send().await.unwrap().status(), StatusCode::OK);
        let bare = world.bare(Method::GET, &format!("/api/v1/custom-domains/{id}?sig={signature}"));
        assert_eq!(bare.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }

    async fn a_click_requests_a_check_and_another_one_waits(database: Database) {
        let world = World::with(&database, |settings| {
            page_on(settings);
            settings.max_retries_per_tenant_per_day = 2;
        }).await;
        let id = world.created("shop.example.com").await;
        let failure = json!({"code": "DNS_NXDOMAIN"});
        answer(world.report(&id, 1, &report(&failure, "It does not exist.")).await, 200).await;
        let path = link(&world, &id).await;
        let page = html(get(&world, &path).await, StatusCode::OK).await;
        assert!(page.contains("It does not exist.") && page.contains("One thing to fix"), "{page}");
        let action = page.split_once("action=\"").unwrap().1.split_once('"').unwrap().0;
        let check = format!("/setup/{}", action.replace("&#38;", "&").replace("&amp;", "&"));
        let back = led_to(&world, Method::POST, &check).await;
        assert_eq!(back, format!("..{}&lang=en#status", path.strip_prefix("/setup").unwrap()));
        let page = html(get(&world, &path).await, StatusCode::OK).await;
        assert!(page.contains("Checking your DNS"), "{page}");
        let feed = world.read("/changes").await;
        assert_eq!((&feed["items"][0]["status"], &feed["items"][0]["version"]), (&json!("PendingDns"), &json!(3)));
        // A client that follows arrives at the page again.
        let soon = world.bare(Method::POST, &check).send().await.unwrap();
        assert!(soon.url().query().unwrap().contains("notice=soon"));
        let page = html(soon, StatusCode::OK).await;
        assert!(page.contains("Please wait a little before the next check."), "{page}");
        world.advance(Duration::from_secs(30));
        led_to(&world, Method::POST, &check).await;
        world.advance(Duration::from_secs(30));
        let limit = led_to(&world, Method::POST, &check).await;
        assert!(limit.contains("&notice=limit#"), "{limit}");
        let removal = world.platform(Method::DELETE, &format!("/{id}")).send();
        answer(removal.await.unwrap(), 202).await;
        world.advance(Duration::from_secs(30));
        assert!(led_to(&world, Method::POST, &check).await.contains("&notice=removed#"));
        let page = html(get(&world, &path).await, StatusCode::OK).await;
        assert!(page.contains("is being removed") && !page.contains("<form"), "{page}");
    }

    async fn a_page_that_is_opened_too_often_is_refused_and_no_other_is(database: Database) {
        let world = world_with_page(&database).await;
        let (id, other) = (world.created("a.example.com").await, world.created("b.example.com").await);
        let (path, other) = (link(&world, &id).await, link(&world, &other).await);
        let mut served = 0;
        let refused = loop {
            let response = get(&world, &path).await;
            if response.status() != StatusCode::OK {
                break response;
            }
            served += 1;
        };
        assert!((50..=120).contains(&served), "{served}");
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(wait <= 1, "{wait}");
        html(refused, StatusCode::TOO_MANY_REQUESTS).await;
        let check = path.replace('?', "/check?");
        let clicked = world.bare(Method::POST, &check).send().await.unwrap();
        html(clicked, StatusCode::TOO_MANY_REQUESTS).await;
        html(get(&world, &other).await, StatusCode::OK).await;
        world.advance(Duration::from_secs(2));
        html(get(&world, &path).await, StatusCode::OK).await;
    }

    async fn each_status_has_its_page_in_both_languages(database: Database) {
        let world = world_with_page(&database).await;
        let id = world.created("shop.example.com").await;
        let path = link(&world, &id).await;
        let mut version = 1;
        let proof = OwnershipVerification::txt("_dps-challenge.shop.example.com", "dps-verify=abc");
        let provider = "Add it. How to do this at Gandi: https://docs.gandi.net/en/domain_names/";
        for (report, english, russian) in [
            (StatusReport::of(Status::PendingHttpProbe), "Your DNS is set up correctly", "DNS настроен верно"),
            (StatusReport::of(Status::Issuing), "Creating the certificate", "Получаем сертификат"),
            (report(&json!({"code": "DNS_NXDOMAIN"}), provider), "Add it.</p>", "нет в DNS"),
            (report(&json!({"code": "DNS_NXDOMAIN"}), provider), "How to add a record at Gandi", "Как добавить запись: Gandi"),
            (report(&json!({"code": "ACME_RATE_LIMITED", "until": null, "detail": "d"}), "Wait."), "Nothing to do for now", "Пока ничего"),
            (report(&json!({"code": "EDGE_REJECTED", "edge": "e", "reason": "r"}), "We mend it."), "We are on it", "Задержка на нашей стороне"),
            (report(&json!({"code": "A_LATER_CODE", "x": 1}), "Do this."), "Do this.", "<details class=\"original\" open>\n<summary>Сообщение на английском</summary>\n<p lang=\"en\">Do this.</p>"),
            (StatusReport { status: Status::Failed, ..report(&json!({"code": "NAME_BLOCKED", "rule": "r"}), "No.") }, "The setup has stopped", "обратитесь в поддержку"),
            (StatusReport { ownership_verification: Some(proof), ..report(&json!({"code": "DNS_OWNERSHIP_REQUIRED", "name": "n", "contested": true}), "Prove it.") }, ">dps-verify=abc</code>", "запись TXT"),
            (
                StatusReport { certificate_not_after: Some("2027-04-15T08:00:00Z".parse().unwrap()), ..StatusReport::of(Status::Active) },
                "shop.example.com is live",
                "Текущий сертификат действует до <time datetime=\"2027-04-15T08:00:00Z\">2027-04-15</time>",
            ),
        ] {
            let changed = answer(world.report(&id, version, &report).await, 200).await;
            version = changed["version"].as_u64().unwrap();
            let page = html(get(&world, &path).await, StatusCode::OK).await;
            assert!(page.contains(english), "{english} in {page}");
            let page = html(get(&world, &format!("{path}&lang=ru")).await, StatusCode::OK).await;
            assert!(page.contains(russian) && page.contains("<html lang=\"ru\">"), "{russian} in {page}");
        }
        let accepted = world.bare(Method::GET, &path).header("accept-language", "de, ru;q=0.7").send();
        let page = html(accepted.await.unwrap(), StatusCode::OK).await;
        assert!(page.contains("<html lang=\"ru\">"), "{page}");
        let unknown = html(get(&world, "/setup/x?lang=ru").await, StatusCode::NOT_FOUND).await;
        assert!(unknown.contains("Ссылка не работает"), "{unknown}");
    }

    async fn hostile_words_of_others_stay_words(database: Database) {
        let world = world_with_page(&database).await;
        let id = world.created("shop.example.com").await;
        let path = link(&world, &id).await;
        let mut version = 1;
        for hostile in HOSTILE {
            for failure in [
                json!({"code": "DNS_WRONG_TARGET", "chain": [hostile], "addresses": []}),
                json!({"code": "CAA_FORBIDS", "record": hostile, "owner": hostile}),
                json!({"code": "CDN_IN_FRONT", "cdn": hostile, "addresses": [], "answer": hostile}),
                json!({"code": hostile}),
            ] {
                let mut report = report(&failure, &format!("{hostile} How to do this at Gandi: {hostile}"));
                report.last_error_code = Some(failure["code"].as_str().unwrap().chars().take(60).collect());
                let changed = answer(world.report(&id, version, &report).await, 200).await;
                version = changed["version"].as_u64().unwrap();
                world.advance(Duration::from_secs(5));
                for lang in ["en", "ru", hostile] {
                    let call = world.bare(Method::GET, &path).query(&[("lang", lang), ("notice", hostile)]);
                    let page = html(call.send().await.unwrap(), StatusCode::OK).await;
                    let is_markup = hostile.contains(['<', '"']);
                    assert!(!is_markup || !page.contains(hostile), "{hostile} in {page}");
                    assert!(!page.contains("alert(1)>") && !page.contains("href=\"javascript"), "{page}");
                }
            }
        }
    }

    async fn files_are_kept_for_ever_and_there_are_no_others(database: Database) {
        let world = World::with(&database, |settings| {
            page_on(settings);
            let page = &mut settings.setup_page;
            "#fa3".clone_into(&mut page.accent);
            "Platform & Sons".clone_into(&mut page.name);
            page.logo_url = Some("https://cdn.platform.example/logo.svg".to_owned());
            page.frame_ancestors = vec!["https://app.platform.example".to_owned(), "http://localhost:3000".to_owned()];
        }).await;
        let id = world.created("shop.example.com").await;
        let response = get(&world, &link(&world, &id).await).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("img-src 'self' https://cdn.platform.example;"), "{policy}");
        assert!(policy.ends_with("frame-ancestors https://app.platform.example http://localhost:3000"), "{policy}");
        assert!(!response.headers().contains_key("x-frame-options"));
        let page = html(response, StatusCode::OK).await;
        assert!(page.contains("alt=\"Platform &#38; Sons\""), "{page}");
        let mut types = Vec::new();
        for place in page.split("\"assets/").skip(1) {
            let name = place.split_once('"').unwrap().0;
            let file = get(&world, &format!("/setup/assets/{name}")).await;
            assert_eq!(file.status(), StatusCode::OK);
            assert_eq!(file.headers()["cache-control"], "public, max-age=31536000, immutable");
            types.push(file.headers()["content-type"].to_str().unwrap().to_owned());
            let text = file.text().await.unwrap();
            if name.starts_with("theme") {
                assert_eq!(text, ":root { --accent: #ffaa33; --on-accent: #000000; }\n");
            }
        }
        assert_eq!(types, ["image/svg+xml", "text/css; charset=utf-8", "text/css; charset=utf-8", "text/javascript; charset=utf-8"]);
        for wrong in ["setup.css", "..%2f..%2fCargo.toml", "%00"] {
            let problem = refusal_of_file(get(&world, &format!("/setup/assets/{wrong}")).await).await;
            assert_eq!(problem, ProblemCode::NotFound.as_str(), "{wrong}");
        }
    }

    async fn without_a_key_there_is_no_page_and_no_link(database: Database) {
        let world = World::on(&database).await;
        let created = answer(world.create("shop.example.com").await, 201).await;
        assert!(created.get("setupUrl").is_none());
        for path in ["/setup/x", "/setup/x/check", "/setup/assets/x"] {
            assert_eq!(refusal_of_file(get(&world, path).await).await, "NOT_FOUND");
        }
    }
}

async fn refusal_of_file(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let problem: Value = response.json().await.unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

#[test]
fn every_code_of_the_catalogue_has_a_place_among_the_steps() {
    // A code with a new beginning would count as a failure of the first step.
    let known = [
        "NAME_",
        "TARGET_",
        "DNS_",
        "CDN_",
        "HTTP_",
        "CAA_",
        "ISSUANCE_",
        "ACME_",
        "EDGE_",
        "INTERNAL",
    ];
    for code in FailureCode::ALL {
        let has_place = known.iter().any(|begin| code.as_str().starts_with(begin));
        assert!(has_place, "{code}");
    }
}
