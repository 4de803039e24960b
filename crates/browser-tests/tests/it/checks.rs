//! The checks of the harness on pages with faults: each of them can fail.

use dps_lab::browser::{ENTER, TAB};

use crate::harness::{
    Page, Site, Stop, Theme, assert_accessible, assert_fits, assert_no_faults, browser,
    browser_without_scripts, csp_violations, findings, keep_screenshot, tab_stops,
};

const STRICT: &str = "default-src 'none'";

fn page(policy: &'static str, body: &str) -> Page {
    Page {
        path: "/",
        policy,
        html: format!(
            "<!doctype html><html lang=en><title>A page</title><main><h1>A page</h1>{body}</main>"
        ),
    }
}

#[tokio::test]
async fn a_violation_of_the_content_security_policy_is_found() {
    let script = "<p id=mark>before</p><script>mark.textContent = 'after'</script>";
    let strict = Site::start([page(STRICT, script)]).await;
    let open = Site::start([page("default-src 'unsafe-inline' 'self'", script)]).await;
    let browser = browser("en").await;
    browser.open(&open.origin).await.unwrap();
    assert_eq!(browser.text("#mark").await.unwrap(), "after");
    assert_no_faults(&browser).await;
    browser.open(&strict.origin).await.unwrap();
    assert_eq!(browser.text("#mark").await.unwrap(), "before");
    let found = csp_violations(&browser).await;
    // The icon is refused as well.
    assert!(
        found
            .iter()
            .any(|found| found.message.contains("inline script")),
        "{found:?}"
    );
}

#[tokio::test]
#[should_panic(expected = "ReferenceError")]
async fn a_fault_of_a_script_is_found() {
    let site = Site::start([page(
        "script-src 'unsafe-inline'",
        "<script>noSuchName()</script>",
    )])
    .await;
    let browser = browser("en").await;
    browser.open(&site.origin).await.unwrap();
    assert_no_faults(&browser).await;
}

#[tokio::test]
async fn faults_of_accessibility_are_found_behind_a_strict_policy_and_in_both_themes() {
    let pale = "<style>:root { color-scheme: light dark }
        p { color: #777; background: #888 }
        @media (prefers-color-scheme: dark) { p { color: #fff; background: #000 } }</style><p>pale</p>";
    let site = Site::start([
        page("default-src 'none'; style-src 'unsafe-inline'", pale),
        Page {
            path: "/image",
            ..page(STRICT, "<img src=/favicon.ico>")
        },
    ])
    .await;
    let browser = browser("en").await;
    browser.open(&site.origin).await.unwrap();
    Theme::Light.apply(&browser).await;
    let rules: Vec<_> = findings(&browser).await.into_iter().collect();
    assert!(
        rules.iter().any(|found| found.rule == "color-contrast"),
        "{rules:?}"
    );
    Theme::Dark.apply(&browser).await;
    assert_accessible(&browser, "in the dark").await;
    browser
        .open(&format!("{}/image", site.origin))
        .await
        .unwrap();
    let rules = findings(&browser).await;
    assert!(
        rules.iter().any(|found| found.rule == "image-alt"),
        "{rules:?}"
    );
}

#[tokio::test]
async fn the_keyboard_reaches_controls_in_order_and_an_invisible_focus_is_noticed() {
    let controls = "<style>#hidden:focus { outline: none }</style>
        <a href=/#one>One</a><button disabled>Never</button>
        <button id=hidden>Two</button><button id=last aria-label=Three>3</button>";
    let script = "<script>last.onclick = () => document.title = 'pressed'</script>";
    let policy = "script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    let site = Site::start([page(policy, &format!("{controls}{script}"))]).await;
    let browser = browser("en").await;
    browser.open(&site.origin).await.unwrap();
    let stop = |name: &str, is_marked| Stop {
        name: name.to_owned(),
        is_marked,
    };
    let expected = [stop("One", true), stop("Two", false), stop("Three", true)];
    assert_eq!(tab_stops(&browser).await, expected);
    assert_eq!(
        tab_stops(&browser).await,
        expected,
        "from the beginning again"
    );
    browser.press(TAB).await.unwrap();
    browser.press(TAB).await.unwrap();
    browser.press(TAB).await.unwrap();
    browser.press(ENTER).await.unwrap();
    browser
        .wait_until("document.title === 'pressed'")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_browser_without_scripts_follows_links_and_runs_none() {
    let body =
        "<p id=mark>before</p><script>mark.textContent = 'after'</script><a href=/next>Next</a>";
    let policy = "script-src 'unsafe-inline'";
    let next = Page {
        path: "/next",
        ..page(policy, "<p id=arrived>there</p>")
    };
    let site = Site::start([page(policy, body), next]).await;
    let browser = browser_without_scripts().await;
    browser.open(&site.origin).await.unwrap();
    assert_eq!(browser.text("#mark").await.unwrap(), "before");
    browser.click("a").await.unwrap();
    browser
        .wait_until("document.getElementById('arrived') !== null")
        .await
        .unwrap();
}

#[tokio::test]
#[should_panic(expected = "pixels on a screen of 320")]
async fn a_page_that_is_wider_than_a_phone_is_found() {
    let wide = "<style>p { width: 900px }</style><p>wide</p>";
    let site = Site::start([page("style-src 'unsafe-inline'", wide)]).await;
    let browser = browser("en").await;
    browser.open(&site.origin).await.unwrap();
    assert_fits(&browser, 1280).await;
    keep_screenshot(&browser, "harness-wide").await;
    assert_fits(&browser, 320).await;
}

#[tokio::test]
async fn languages_and_themes_are_those_of_the_visitor() {
    let site = Site::start([page(STRICT, "")]).await;
    let browser = browser("ru").await;
    browser.open(&site.origin).await.unwrap();
    let language = browser.evaluate("navigator.language").await.unwrap();
    assert_eq!(language, "ru");
    for theme in Theme::BOTH {
        theme.apply(&browser).await;
        let query = format!(
            "matchMedia('(prefers-color-scheme: {})').matches",
            theme.word()
        );
        assert_eq!(browser.evaluate(&query).await.unwrap(), true);
    }
}
