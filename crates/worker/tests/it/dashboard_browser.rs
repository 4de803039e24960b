//! The dashboard in a real browser, beside a service that works.

use std::path::PathBuf;

use dps_lab::browser::{Browser, BrowserOptions, ENTER, TAB};
use dps_lab::wait;
use serde_json::json;
use sqlx::{Executor as _, SqlitePool};

use self::audit::{assert_accessible, assert_no_faults};
use self::keyboard::tab_stops;
use crate::admin::{ADMIN, Api, OPERATOR, world};
use crate::world::{Options, TIMEOUT, World};

#[expect(
    dead_code,
    reason = "the checks are shared with the tests of other pages"
)]
#[path = "../../../browser-tests/tests/it/harness/audit.rs"]
mod audit;
#[path = "../../../browser-tests/tests/it/harness/keyboard.rs"]
mod keyboard;

const LOST: &str = "www.nowhere.test";
const SERVED: &str = "shop.bakery.test";
/// A tenant whose identifier would be a script if a page did not escape it.
const HOSTILE: &str = "\"><script>document.title='taken'</script>";

/// A world in which nothing is tried again before an operator wants it. One domain is served, and
/// two wait for their customers.
async fn patient_world() -> (World, Api) {
    let patient =
        json!({ "Workers": { "DomainVerification": { "Interval": "1h", "MaxBackoff": "1h" } } });
    let (world, api) = world(Options::quick().with(&patient)).await;
    let served = world.add(SERVED).await;
    world.wait_for_status(&served, "Active").await;
    for (tenant, host) in [("tenant-1", LOST), (HOSTILE, "www.elsewhere.test")] {
        let id = world.customer.add_for(tenant, host).await;
        world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    }
    // Counts are kept once a minute; without any, the overview counts by itself.
    let store = store(&world).await;
    store.execute("DELETE FROM fleet_counts").await.unwrap();
    (world, api)
}

async fn store(world: &World) -> SqlitePool {
    let file = world.home().join("dps.db");
    let pool = SqlitePool::connect(&format!("sqlite://{}", file.display())).await;
    pool.unwrap()
}

fn urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn browser(runs_scripts: bool) -> Browser {
    let options = BrowserOptions {
        runs_scripts,
        ..BrowserOptions::default()
    };
    let browser = Browser::start(options).await;
    browser.expect("Chromium must be installed for this test")
}

/// Opens a page, and signs in on the way to it.
async fn sign_in(browser: &Browser, api: &Api, token: &str) {
    browser.open(&format!("http://{}/", api.at)).await.unwrap();
    browser.write("#token", token).await.unwrap();
    browser.click("main button").await.unwrap();
    at(browser, "/").await;
}

async fn at(browser: &Browser, path: &str) {
    let is_there = format!("location.pathname === '{path}' && document.readyState === 'complete'");
    browser.wait_until(&is_there).await.unwrap();
}

async fn prefer(browser: &Browser, theme: &str) {
    let features = [
        ("prefers-color-scheme", theme),
        ("prefers-reduced-motion", "reduce"),
    ];
    browser.prefer(&features).await.unwrap();
}

/// Keeps a screenshot for people to look at.
async fn keep(browser: &Browser, name: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let png = browser.screenshot().await.unwrap();
    std::fs::write(folder.join(format!("dashboard-{name}.png")), png).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_finds_the_cause_and_retries_the_domain_until_it_is_active() {
    let (world, api) = patient_world().await;
    let browser = browser(true).await;
    sign_in(&browser, &api, OPERATOR).await;
    browser
        .click("a[href^='/domains?code=DNS_NXDOMAIN']")
        .await
        .unwrap();
    at(&browser, "/domains").await;
    let list = browser.text("tbody").await.unwrap();
    assert!(list.contains(HOSTILE), "{list}");
    assert!(list.contains(LOST) && !list.contains(SERVED), "{list}");
    browser
        .click(&format!("a[href='/domains/{LOST}']"))
        .await
        .unwrap();
    at(&browser, &format!("/domains/{LOST}")).await;
    let sentence = browser.text("#sentence").await.unwrap();
    assert!(sentence.contains(LOST), "{sentence}");
    assert!(!browser.text("button[data-copy]").await.unwrap().is_empty());

    // The diagnosis says the same, with the remedy.
    browser
        .click("form[action$='/diagnose'] button")
        .await
        .unwrap();
    at(&browser, &format!("/domains/{LOST}/diagnose")).await;
    let rows = browser.text("tbody").await.unwrap();
    assert!(rows.contains("DNS_NXDOMAIN"), "{rows}");
    assert_accessible(&browser, "diagnosis").await;
    keep(&browser, "diagnosis").await;
    let back = format!(".question a[href='/domains/{LOST}']");
    browser.click(&back).await.unwrap();
    at(&browser, &format!("/domains/{LOST}")).await;

    // The customer mends the record, and the page follows the domain by itself.
    world.point_at_us(LOST);
    browser
        .write("form.actions input:not([type='hidden'])", "mended")
        .await
        .unwrap();
    browser.click("button[formaction$='/retry']").await.unwrap();
    browser
        .wait_until(
            "document.querySelector('main .notice')?.innerText === 'The next step is due now.'",
        )
        .await
        .unwrap();
    let is_active = wait::until("the status in the page", TIMEOUT, || async {
        let shown = browser.text("#live").await.ok()?;
        shown.contains("Active").then_some(())
    });
    is_active.await.unwrap();
    let history = browser.text("#history").await.unwrap();
    assert!(history.contains("admin:oleg"), "{history}");
    browser.click("nav a[href='/activity']").await.unwrap();
    at(&browser, "/activity").await;
    let actions = browser.text("tbody").await.unwrap();
    assert!(
        actions.contains("admin:oleg") && actions.contains("mended"),
        "{actions}"
    );
    assert_no_faults(&browser).await;

    // While the database is away, the numbers stay, and the page says from when they are.
    browser.open(&format!("http://{}/", api.at)).await.unwrap();
    let store = store(&world).await;
    store
        .execute("ALTER TABLE fleet_counts RENAME TO away")
        .await
        .unwrap();
    browser
        .wait_until("!document.getElementById('stale').hidden")
        .await
        .unwrap();
    let said = browser.text("#stale").await.unwrap();
    assert!(said.starts_with("The service does not answer"), "{said}");
    assert!(!browser.text("#verdict").await.unwrap().is_empty());
    store
        .execute("ALTER TABLE away RENAME TO fleet_counts")
        .await
        .unwrap();
    browser
        .wait_until("document.getElementById('stale').hidden")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_accessible_in_both_themes_and_fits_on_a_phone() {
    let (_world, api) = patient_world().await;
    let pause = json!({ "scope": "tenant", "subject": HOSTILE, "reason": HOSTILE });
    let (status, text) = api.post("/admin/v1/issuance/pause", OPERATOR, pause).await;
    assert!(status.is_success(), "{text}");
    let job = json!({
        "action": "retry", "filter": { "code": "DNS_NXDOMAIN" }, "pacePerHour": 1, "confirm": 2,
        "reason": HOSTILE,
    });
    let (status, job) = api.post("/admin/v1/jobs", OPERATOR, job).await;
    assert!(status.is_success(), "{job}");
    let browser = browser(true).await;
    browser.open(&format!("http://{}/", api.at)).await.unwrap();
    for theme in ["light", "dark"] {
        prefer(&browser, theme).await;
        assert_accessible(&browser, &format!("sign-in, {theme}")).await;
        keep(&browser, &format!("sign-in-{theme}")).await;
    }
    // With the keyboard alone: the link past the head, the field, the button.
    browser.press(TAB).await.unwrap();
    browser.click("#token").await.unwrap();
    browser.press(ADMIN).await.unwrap();
    browser.press(ENTER).await.unwrap();
    at(&browser, "/").await;

    let pages = [
        ("overview", "/".to_owned()),
        ("domains", "/domains".to_owned()),
        ("domain", format!("/domains/{LOST}")),
        ("served-domain", format!("/domains/{SERVED}")),
        ("causes", "/causes".to_owned()),
        ("renewals", "/renewals".to_owned()),
        ("limits", "/ca".to_owned()),
        ("edges", "/edges".to_owned()),
        ("tenants", "/tenants".to_owned()),
        ("system", "/system".to_owned()),
        ("activity", "/activity".to_owned()),
        ("tenant", format!("/tenants/{}", urlencoded(HOSTILE))),
        ("jobs", "/jobs".to_owned()),
        ("job", format!("/jobs/{}", job["id"].as_str().unwrap())),
        (
            "job-form",
            "/jobs/new?filter=code%3DDNS_NXDOMAIN&action=retry".to_owned(),
        ),
        ("job-of-all", "/jobs/new?action=renew".to_owned()),
        ("issuance", "/issuance".to_owned()),
    ];
    for (name, path) in &pages {
        browser
            .open(&format!("http://{}{path}", api.at))
            .await
            .unwrap();
        for theme in ["light", "dark"] {
            prefer(&browser, theme).await;
            assert_accessible(&browser, &format!("{name}, {theme}")).await;
            keep(&browser, &format!("{name}-{theme}")).await;
        }
        let stops = tab_stops(&browser).await;
        assert_eq!(stops[0].name, "Skip to the content", "{name}");
        let unmarked: Vec<_> = stops.iter().filter(|stop| !stop.is_marked).collect();
        assert!(unmarked.is_empty(), "{name}: {unmarked:?}");
        browser.resize(320, 900).await.unwrap();
        let width = browser
            .evaluate("document.documentElement.scrollWidth")
            .await;
        assert!(width.unwrap().as_u64() <= Some(320), "{name}");
        browser.resize(1280, 900).await.unwrap();
    }
    let title = browser.evaluate("document.title").await.unwrap();
    assert_ne!(title, "taken");
    assert_no_faults(&browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_without_script() {
    let (_world, api) = patient_world().await;
    let browser = browser(false).await;
    sign_in(&browser, &api, OPERATOR).await;
    browser.click("nav a[href='/domains']").await.unwrap();
    at(&browser, "/domains").await;
    browser.write("input[name='q']", "nowhere").await.unwrap();
    browser.click("form.filter button").await.unwrap();
    browser
        .wait_until("location.search.includes('q=nowhere')")
        .await
        .unwrap();
    browser.click("tbody a").await.unwrap();
    at(&browser, &format!("/domains/{LOST}")).await;
    browser.click("button[formaction$='/retry']").await.unwrap();
    browser
        .wait_until("location.search === '?done=retry'")
        .await
        .unwrap();
    let notice = browser.text("main .notice").await.unwrap();
    assert_eq!(notice, "The next step is due now.");

    acts_on_many(&browser).await;

    browser
        .click("select[name='theme'] option[value='dark']")
        .await
        .unwrap();
    browser
        .click("select[name='language'] option[value='ru']")
        .await
        .unwrap();
    browser.click(".preferences button").await.unwrap();
    browser
        .wait_until("document.documentElement.lang === 'ru'")
        .await
        .unwrap();
    let theme = browser
        .evaluate("document.documentElement.dataset.theme")
        .await;
    assert_eq!(theme.unwrap(), "dark");
    browser.click(".account button").await.unwrap();
    at(&browser, "/sign-in").await;
    assert_no_faults(&browser).await;
}

/// An action on all domains of a filter: the list, the preview, the job, and its end.
async fn acts_on_many(browser: &Browser) {
    browser.click("nav a[href='/domains']").await.unwrap();
    at(browser, "/domains").await;
    browser
        .click("select[name='code'] option[value='DNS_NXDOMAIN']")
        .await
        .unwrap();
    browser.click("form.filter button").await.unwrap();
    browser
        .wait_until("location.search.includes('code=DNS_NXDOMAIN')")
        .await
        .unwrap();
    browser
        .click("form.bulk option[value='recheck']")
        .await
        .unwrap();
    browser.click("form.bulk button").await.unwrap();
    at(browser, "/jobs/new").await;
    let preview = browser.text("#preview").await.unwrap();
    assert_eq!(preview, "Check DNS: 2 domains");
    browser
        .write("input[name='reason']", "by hand")
        .await
        .unwrap();
    browser.click("form.actions button").await.unwrap();
    browser
        .wait_until("location.pathname.length > '/jobs/new'.length")
        .await
        .unwrap();
    let ended = wait::until("the end of the job", TIMEOUT, || async {
        browser.evaluate("location.reload()").await.ok()?;
        let shown = browser.text("#progress").await.ok()?;
        shown.contains("Done").then_some(shown)
    });
    // Domains that wait for DNS refuse the check of served ones.
    let shown = ended.await.unwrap();
    assert!(shown.contains("2 refused by their state"), "{shown}");
    browser.click("nav a[href='/jobs']").await.unwrap();
    at(browser, "/jobs").await;
    let list = browser.text("tbody").await.unwrap();
    assert!(list.contains("admin:oleg"), "{list}");
}

/// Moves the focus to an element with the tabulator key alone, and presses Enter there.
async fn enter(browser: &Browser, selector: &str) {
    focus(browser, selector).await;
    browser.press(ENTER).await.unwrap();
}

async fn focus(browser: &Browser, selector: &str) {
    let is_there = format!("document.activeElement.matches({})", json!(selector));
    for _ in 0..200 {
        browser.press(TAB).await.unwrap();
        if browser.evaluate(&is_there).await.unwrap() == true {
            return;
        }
    }
    panic!("the tabulator key does not reach {selector}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_leads_from_the_cause_to_an_active_domain() {
    let (world, api) = patient_world().await;
    let browser = browser(true).await;
    browser.open(&format!("http://{}/", api.at)).await.unwrap();
    focus(&browser, "#token").await;
    browser.press(OPERATOR).await.unwrap();
    browser.press(ENTER).await.unwrap();
    at(&browser, "/").await;
    enter(&browser, "a[href^='/domains?code=DNS_NXDOMAIN']").await;
    at(&browser, "/domains").await;
    enter(&browser, &format!("a[href='/domains/{LOST}']")).await;
    at(&browser, &format!("/domains/{LOST}")).await;
    enter(&browser, "form[action$='/diagnose'] button").await;
    at(&browser, &format!("/domains/{LOST}/diagnose")).await;
    let rows = browser.text("tbody").await.unwrap();
    assert!(rows.contains("DNS_NXDOMAIN"), "{rows}");
    enter(&browser, &format!(".question a[href='/domains/{LOST}']")).await;
    at(&browser, &format!("/domains/{LOST}")).await;
    world.point_at_us(LOST);
    enter(&browser, "button[formaction$='/retry']").await;
    browser
        .wait_until("location.search === '?done=retry'")
        .await
        .unwrap();
    let is_active = wait::until("the status in the page", TIMEOUT, || async {
        let shown = browser.text("#live").await.ok()?;
        shown.contains("Active").then_some(())
    });
    is_active.await.unwrap();
    assert_no_faults(&browser).await;
}
