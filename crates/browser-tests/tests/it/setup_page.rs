//! The page on which a customer of the platform reads what to do.

mod world;

use std::time::Duration;

use dps_cabinet_api::{OwnershipVerification, StatusReport};
use dps_domain::{Status, Timestamp};
use dps_lab::browser::{Browser, ENTER};
use serde_json::json;

use crate::harness::{
    Page, Site, Theme, assert_accessible, assert_fits, assert_no_faults, browser,
    browser_without_scripts, csp_violations, keep_screenshot, tab_stops,
};
use world::{Domain, World, failing};

const SENTENCE: &str = "shop.example.com does not exist in DNS. To fix this, create the record \
    \"shop CNAME k3v7.edge.platform.example.\" in the zone example.com. How to do this at Cloudflare: \
    https://developers.cloudflare.com/dns/manage-dns-records/how-to/create-dns-records/";
/// The widths of a desktop and of a phone, in CSS pixels.
const WIDTHS: [(u32, &str); 2] = [(1280, "wide"), (320, "phone")];
/// Texts that would run, or change the page, if they were not escaped.
const HOSTILE: [&str; 5] = [
    "<script>document.title = 'owned'</script>",
    "\"><img src=x onerror=\"document.title = 'owned'\">",
    "'--></style></title><svg/onload=\"document.title = 'owned'\">",
    "</h1><a href=javascript:document.title='owned'>click</a>",
    "<iframe srcdoc=\"<script>top.document.title = 'owned'</script>\"></iframe>",
];

fn in_seconds(seconds: u64) -> Timestamp {
    let now = Timestamp::from_unix_micros(dps_host::clock::now_unix_micros());
    now + Duration::from_secs(seconds)
}

async fn report_missing(domain: &Domain<'_>) {
    let report = StatusReport {
        next_attempt_at: Some(in_seconds(290)),
        ..failing(&json!({"code": "DNS_NXDOMAIN"}), SENTENCE)
    };
    domain.report(&report).await;
}

fn active() -> StatusReport {
    StatusReport {
        certificate_not_after: Some(in_seconds(60 * 24 * 3600)),
        ..StatusReport::of(Status::Active)
    }
}

async fn wait_for_headline(browser: &Browser, headline: &str) {
    let condition = format!("document.querySelector('h1')?.textContent === '{headline}'");
    browser.wait_until(&condition).await.unwrap();
}

#[tokio::test]
async fn the_page_follows_by_itself_until_the_name_is_live() {
    let world = World::start().await;
    let shop = world.create("shop.example.com").await;
    let browser = browser("en").await;
    browser.open(&shop.link).await.unwrap();
    wait_for_headline(&browser, "Connect shop.example.com").await;
    report_missing(&shop).await;
    wait_for_headline(&browser, "One thing to fix").await;
    let lead = browser.text("#status p").await.unwrap();
    assert!(lead.ends_with("in the zone example.com."), "{lead}");
    let provider = browser.text(".provider a").await.unwrap();
    assert_eq!(provider, "How to add a record at Cloudflare");
    // The focus survives that the page changes around it.
    browser
        .evaluate("document.getElementById('check').focus()")
        .await
        .unwrap();
    let other = json!({"code": "DNS_WRONG_TARGET", "chain": ["old.example.net"], "addresses": []});
    shop.report_failure(&other, "It points to old.example.net.")
        .await;
    browser
        .wait_until("document.body.innerText.includes('old.example.net')")
        .await
        .unwrap();
    let focus = browser.evaluate("document.activeElement.id").await;
    assert_eq!(focus.unwrap(), "check");
    shop.report(&StatusReport::of(Status::PendingHttpProbe))
        .await;
    wait_for_headline(&browser, "Your DNS is set up correctly").await;
    shop.report(&StatusReport::of(Status::Issuing)).await;
    wait_for_headline(&browser, "Creating the certificate").await;
    shop.report(&active()).await;
    wait_for_headline(&browser, "shop.example.com is live").await;
    let link = browser.evaluate("document.querySelector('.act a').href");
    assert_eq!(link.await.unwrap(), "https://shop.example.com/");
    let title = browser.evaluate("document.title").await.unwrap();
    assert_eq!(title, "shop.example.com is live");
    assert_no_faults(&browser).await;
}

#[tokio::test]
async fn a_button_copies_a_record_and_says_so() {
    let world = World::start().await;
    let shop = world.create("shop.example.com").await;
    let browser = browser("en").await;
    browser.open(&shop.link).await.unwrap();
    browser
        .devtools(
            "Browser.grantPermissions",
            json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
        )
        .await
        .unwrap();
    for (button, expected) in [
        ("#copy-name-1", "shop"),
        ("#copy-value-1", "k3v7.edge.platform.example."),
    ] {
        browser.click(button).await.unwrap();
        let is_said = format!(
            "document.querySelector('{button}').textContent === 'Copied' \
             && document.getElementById('announcement').textContent === 'Copied'"
        );
        browser.wait_until(&is_said).await.unwrap();
        let copied = browser.evaluate("navigator.clipboard.readText()").await;
        assert_eq!(copied.unwrap(), expected);
        let is_over = format!("document.querySelector('{button}').textContent === 'Copy'");
        browser.wait_until(&is_over).await.unwrap();
    }
    // Where the clipboard is refused, the value is selected instead, and copied the old way.
    browser
        .evaluate("navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))")
        .await
        .unwrap();
    browser.click("#copy-name-1").await.unwrap();
    let is_selected = "getSelection().toString() === 'shop'";
    browser.wait_until(is_selected).await.unwrap();
    let copied = browser.evaluate("navigator.clipboard.readText()").await;
    assert_eq!(copied.unwrap(), "shop");
    assert_no_faults(&browser).await;
}

#[tokio::test]
async fn the_keyboard_alone_copies_checks_and_changes_the_language() {
    let world = World::start().await;
    let shop = world.create("shop.example.com").await;
    report_missing(&shop).await;
    let browser = browser("en").await;
    browser.open(&shop.link).await.unwrap();
    let stops = tab_stops(&browser).await;
    let names: Vec<&str> = stops.iter().map(|stop| stop.name.as_str()).collect();
    let expected = [
        "Copy: shop",
        "Copy: k3v7.edge.platform.example.",
        "How to add a record at Cloudflare",
        "Check again",
        "Русский",
    ];
    assert_eq!(names, expected);
    assert!(stops.iter().all(|stop| stop.is_marked), "{stops:?}");
    press_at(&browser, 4).await;
    wait_for_headline(&browser, "Checking your DNS").await;
    // Readers begin at the answer.
    browser
        .wait_until("document.activeElement.id === 'status'")
        .await
        .unwrap();
    assert_eq!(shop.read().await["status"], "PendingDns");
    report_missing(&shop).await;
    wait_for_headline(&browser, "One thing to fix").await;
    press_at(&browser, 5).await;
    wait_for_headline(&browser, "Нужно кое-что исправить").await;
    assert_no_faults(&browser).await;
}

/// Goes to the nth stop of the tabulator key and presses enter.
async fn press_at(browser: &Browser, stop: usize) {
    let reset = "document.activeElement?.blur(); getSelection().removeAllRanges()";
    browser.evaluate(reset).await.unwrap();
    let keys = dps_lab::browser::TAB.repeat(stop) + ENTER;
    browser.press(&keys).await.unwrap();
}

#[tokio::test]
async fn without_script_the_page_has_everything_but_the_copy_buttons() {
    let world = World::start().await;
    let shop = world.create("shop.example.com").await;
    report_missing(&shop).await;
    let browser = browser_without_scripts().await;
    browser.open(&shop.link).await.unwrap();
    wait_for_headline(&browser, "One thing to fix").await;
    let value = browser.text("#value-1").await.unwrap();
    assert_eq!(value, "k3v7.edge.platform.example.");
    let copy = "getComputedStyle(document.querySelector('.copy')).display";
    assert_eq!(browser.evaluate(copy).await.unwrap(), "none");
    browser.click("#check").await.unwrap();
    wait_for_headline(&browser, "Checking your DNS").await;
    report_missing(&shop).await;
    browser.open(&shop.link).await.unwrap();
    browser.click("#check").await.unwrap();
    browser
        .wait_until("document.querySelector('.notice') !== null")
        .await
        .unwrap();
    let notice = browser.text(".notice").await.unwrap();
    assert!(notice.starts_with("Please wait a little"), "{notice}");
    shop.report(&active()).await;
    browser.click("footer a").await.unwrap();
    wait_for_headline(&browser, "shop.example.com работает").await;
    assert_no_faults(&browser).await;
}

/// The pages that are judged, each with the domain that shows it.
async fn gallery(world: &World) -> Vec<(&'static str, Domain<'_>)> {
    let new = world.create("www.example.org").await;
    let action = world.create("shop.example.com").await;
    report_missing(&action).await;
    let proof = world.create("example.net").await;
    let name = "_dps-challenge.example.net";
    let record = OwnershipVerification::txt(name, "dps-verify=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e");
    let contested = json!({"code": "DNS_OWNERSHIP_REQUIRED", "name": name, "contested": true});
    let sentence = "Another account on this platform claims example.net or had it until recently. To \
        prove that it is yours, create the record \"_dps-challenge TXT dps-verify=5e5e5e5e5e5e5e5e5e5e\
        5e5e5e5e5e5e\" in the zone example.net.";
    proof
        .report(&StatusReport {
            ownership_verification: Some(record),
            ..failing(&contested, sentence)
        })
        .await;
    let issuing = world.create("blog.bücher.example").await;
    issuing.report(&StatusReport::of(Status::Issuing)).await;
    let live = world.create("store.example.com").await;
    live.report(&active()).await;
    let stopped = world.create("bank.example.com").await;
    let claimed = json!({"code": "NAME_ALREADY_CLAIMED", "proven": true});
    let sentence = "Another account on this platform has proven that bank.example.com belongs to it. \
        If it is yours, request a retry: you then get a record with which you can prove it.";
    stopped
        .report(&StatusReport {
            status: Status::Failed,
            ..failing(&claimed, sentence)
        })
        .await;
    let removing = world.create("old.example.com").await;
    removing.remove().await;
    let long = world
        .create("a-very-long-label-of-a-customer-who-likes-long-names.department.subsidiary.example.co.uk")
        .await;
    long.report_failure(
        &json!({"code": "DNS_WRONG_TARGET", "chain": ["a-name-that-goes-on-and-on.cdn.provider.example"], "addresses": []}),
        "It points to a-name-that-goes-on-and-on.cdn.provider.example, not to us.",
    )
    .await;
    vec![
        ("new", new),
        ("action", action),
        ("proof", proof),
        ("issuing", issuing),
        ("live", live),
        ("stopped", stopped),
        ("removing", removing),
        ("long", long),
    ]
}

async fn judge_gallery(language: &'static str) {
    let world = World::start().await;
    let pages = gallery(&world).await;
    let browser = browser(language).await;
    for theme in Theme::BOTH {
        theme.apply(&browser).await;
        for (name, domain) in &pages {
            let page = format!("setup-{name}-{language}-{}", theme.word());
            for (width, size) in WIDTHS {
                browser.resize(width, 900).await.unwrap();
                browser.open(&domain.link).await.unwrap();
                // Colours do not depend on the width, nor the layout on the theme.
                if matches!(theme, Theme::Light) || size == "wide" {
                    assert_accessible(&browser, &page).await;
                }
                assert_fits(&browser, width).await;
                keep_screenshot(&browser, &format!("{page}-{size}")).await;
            }
        }
        browser
            .open(&format!("{}x", pages[0].1.link))
            .await
            .unwrap();
        assert_accessible(&browser, "a link that does not work").await;
        assert_fits(&browser, 320).await;
        keep_screenshot(
            &browser,
            &format!("setup-unknown-{language}-{}", theme.word()),
        )
        .await;
        // The refused page is a failed request in the browser's log.
        assert_eq!(csp_violations(&browser).await, []);
    }
}

#[tokio::test]
async fn every_page_is_accessible_in_english() {
    judge_gallery("en").await;
}

#[tokio::test]
async fn every_page_is_accessible_in_russian() {
    judge_gallery("ru").await;
}

#[tokio::test]
async fn hostile_words_inject_nothing() {
    let world = World::start().await;
    let shop = world.create("shop.example.com").await;
    let browser = browser("en").await;
    for hostile in HOSTILE {
        let failure = json!({"code": "DNS_WRONG_TARGET", "chain": [hostile], "addresses": []});
        shop.report_failure(&failure, hostile).await;
        for lang in ["en", "ru"] {
            let link = format!("{}&lang={lang}", shop.link);
            browser.open(&link).await.unwrap();
            let shown = browser.evaluate("document.querySelector('main').textContent");
            let shown = shown.await.unwrap();
            assert!(shown.as_str().unwrap().contains(hostile), "{shown}");
            let foreign = "document.querySelectorAll('main img, iframe, main script, [onerror], \
                [onload], a[href^=javascript]').length";
            assert_eq!(browser.evaluate(foreign).await.unwrap(), 0, "{hostile}");
            let title = browser.evaluate("document.title").await.unwrap();
            assert_ne!(title, "owned", "{hostile}");
        }
    }
    // The script replaces parts of the page by what it fetches.
    shop.report_failure(&json!({"code": "INTERNAL", "detail": "d"}), "Ours.")
        .await;
    browser.open(&shop.link).await.unwrap();
    for hostile in HOSTILE {
        let failure = json!({"code": "CAA_FORBIDS", "record": hostile, "owner": hostile});
        shop.report_failure(&failure, hostile).await;
        let text = serde_json::to_string(hostile).unwrap();
        let is_shown = format!("document.querySelector('#status').textContent.includes({text})");
        browser.wait_until(&is_shown).await.unwrap();
        let title = browser.evaluate("document.title").await.unwrap();
        assert_eq!(title, "Set up shop.example.com", "{hostile}");
    }
    assert_no_faults(&browser).await;
}

#[tokio::test]
async fn only_the_platform_can_embed_the_page() {
    let frame = "<!doctype html><html lang=en><title>A platform</title><iframe id=frame title=Domain>\
        </iframe><script>addEventListener('message', event => {\
        document.title = event.data.type + ' ' + (event.data.height > 100)});\
        frame.src = decodeURIComponent(location.hash.slice(1))</script>";
    let embedding = Page {
        path: "/",
        policy: "frame-src *; script-src 'unsafe-inline'",
        html: frame.to_owned(),
    };
    let platform = Site::start([embedding.clone()]).await;
    let stranger = Site::start([embedding]).await;
    let origin = platform.origin.clone();
    let world = World::with(|page| page.frame_ancestors = vec![origin]).await;
    let shop = world.create("shop.example.com").await;
    let browser = browser("en").await;
    browser
        .open(&format!("{}/#{}", platform.origin, shop.link))
        .await
        .unwrap();
    browser
        .wait_until("document.title === 'dps-setup-height true'")
        .await
        .unwrap();
    browser.enter_frame("#frame").await.unwrap();
    let headline = browser.text("h1").await.unwrap();
    assert_eq!(headline, "Connect shop.example.com");
    browser.click("#check").await.unwrap();
    assert_no_faults(&browser).await;
    browser
        .open(&format!("{}/#{}", stranger.origin, shop.link))
        .await
        .unwrap();
    browser.enter_frame("#frame").await.unwrap();
    assert!(
        browser.text("#status").await.is_err(),
        "a stranger embeds it"
    );
    let refused = csp_violations(&browser).await;
    assert!(
        refused
            .iter()
            .any(|refused| refused.message.contains("frame-ancestors")),
        "{refused:?}"
    );
}
