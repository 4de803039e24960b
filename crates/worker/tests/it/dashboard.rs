//! The dashboard over HTTP: sessions, roles, headers, and what a person sees in bad times.

use std::time::Duration;

use dps_lab::wait;
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect};
use sqlx::{AssertSqlSafe, Executor as _, SqlitePool};

use crate::admin::{ADMIN, Api, OPERATOR, VIEWER, world, write_private};
use crate::world::{Options, TIMEOUT, World};

/// A browser without a memory: redirects and cookies are seen, not followed.
struct Browser {
    client: Client,
    base: String,
    cookie: String,
}

/// A response that has been read.
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    html: String,
}

impl Browser {
    fn of(api: &Api) -> Self {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build();
        Self {
            client: client.unwrap(),
            base: format!("http://{}", api.at),
            cookie: String::new(),
        }
    }

    async fn signed_in(api: &Api, token: &str) -> Self {
        let mut browser = Self::of(api);
        let page = browser.sign_in(token).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.html);
        browser
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        request
            .header("accept", "text/html,application/xhtml+xml")
            .header("cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> Page {
        read(self.request(Method::GET, path)).await
    }

    /// Posts a form as a page of this service does.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let request = with_form(self.request(Method::POST, path), form);
        read(request.header("sec-fetch-site", "same-origin")).await
    }

    async fn sign_in(&mut self, token: &str) -> Page {
        let form = [("token", token), ("next", "/domains?status=Failed")];
        let page = self.post("/sign-in", &form).await;
        if let Some(cookie) = page.headers.get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            cookie
                .split(';')
                .next()
                .unwrap()
                .clone_into(&mut self.cookie);
        }
        page
    }
}

fn with_form(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    let body = text.extend_pairs(form).finish();
    request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

async fn read(request: RequestBuilder) -> Page {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let html = response.text().await.unwrap();
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                  connect-src 'self'; form-action 'self'; frame-ancestors 'none'";
    for (name, value) in [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let is_asset = headers["cache-control"] == "public, max-age=31536000, immutable";
    assert!(is_asset || headers["cache-control"] == "no-store");
    Page {
        status,
        headers,
        html,
    }
}

async fn quick() -> (World, Api) {
    world(Options::quick()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_with_a_token_and_the_session_ends_with_it() {
    let (world, api) = quick().await;
    let mut browser = Browser::of(&api);

    // Without a session, a page leads to the form, and back after it.
    let page = browser.get("/domains?status=Failed").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(
        page.headers[LOCATION],
        "/sign-in?next=%2Fdomains%3Fstatus%3DFailed"
    );
    let page = browser
        .get("/sign-in?next=%2Fdomains%3Fstatus%3DFailed")
        .await;
    assert!(
        page.html.contains("value=\"/domains?status=Failed\""),
        "{}",
        page.html
    );
    assert!(page.html.contains("type=\"password\" autocomplete=\"off\""));

    let page = browser.sign_in("token-of-nobody-00").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(
        page.html.contains("This token is not known"),
        "{}",
        page.html
    );
    assert!(!page.html.contains("token-of-nobody"), "{}", page.html);
    assert_eq!(browser.cookie, "");

    let page = browser.sign_in(VIEWER).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.html);
    assert_eq!(page.headers[LOCATION], "/domains?status=Failed");
    let cookie = page.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("dps-session=vera:"), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(VIEWER), "{cookie}");

    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert!(page.html.contains("vera · Viewer"), "{}", page.html);
    assert!(page.html.contains("<h2 id=\"verdict\">"), "{}", page.html);

    // Another token in the file ends the session. A part that is read again leads to the form.
    let path = api.files.path().join("vera");
    write_private(&path, "another-token-of-the-viewer");
    let ended = wait::until("the end of the session", TIMEOUT, || async {
        let page = browser.get("/").await;
        (page.status == StatusCode::SEE_OTHER).then_some(page)
    });
    let page = ended.await.unwrap();
    assert_eq!(page.headers[LOCATION], "/sign-in?next=%2F&ended=1");
    let page = read(
        browser
            .request(Method::GET, "/")
            .header("hx-request", "true"),
    )
    .await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.headers["hx-redirect"], "/sign-in?next=%2F&ended=1");

    let page = browser.sign_in("another-token-of-the-viewer").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let page = browser.post("/sign-out", &[]).await;
    assert_eq!(page.headers[LOCATION], "/sign-in");
    let cookie = page.headers[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("dps-session=; Path=/; Max-Age=0;"),
        "{cookie}"
    );
    let log = world.service.log_text();
    assert!(log.contains("admin.signed_in"), "{log}");
    assert!(!log.contains("token-of"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_cannot_act_and_every_response_has_its_headers() {
    let (_world, api) = quick().await;
    let browser = Browser::signed_in(&api, ADMIN).await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.test"),
    ] {
        for path in ["/sign-out", "/sign-in", "/preferences"] {
            let request = browser.request(Method::POST, path).header(name, value);
            let page = read(with_form(request, &[("token", ADMIN)])).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{name} {path}");
            assert!(page.html.contains("from another site"), "{}", page.html);
            assert!(!page.headers.contains_key(SET_COOKIE), "{name} {path}");
        }
    }
    // A session is for pages. The API wants the token, in a header.
    let page = browser.get("/admin/v1/fleet").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.headers["content-type"], "application/problem+json");

    let page = browser.get("/nothing").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(
        page.html.contains("<h1>There is nothing here</h1>"),
        "{}",
        page.html
    );
    let page = browser.get("/sign-out").await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        browser.get("/assets/00/htmx.js").await.status,
        StatusCode::NOT_FOUND
    );

    let page = browser.get("/").await;
    let mut files = page.html.split("\"/assets/").skip(1);
    for file in files.by_ref() {
        let path = format!("/assets/{}", file.split('"').next().unwrap());
        let file = browser.get(&path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        assert!(
            file.headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
    }

    // Language and theme are kept, and a form leads back to this service alone.
    let form = [
        ("language", "ru"),
        ("theme", "dark"),
        ("next", "//evil.test"),
    ];
    let page = browser.post("/preferences", &form).await;
    assert_eq!(page.headers[LOCATION], "/");
    let cookies: Vec<&str> = page
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|c| c.to_str().unwrap())
        .collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    let request = Browser::of(&api)
        .request(Method::GET, "/sign-in?x=1")
        .header("accept-language", "ru");
    let page = read(request.header("cookie", "dps-theme=dark")).await;
    assert!(page.html.contains("<html lang=\"ru\""), "{}", page.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_says_that_the_database_is_away_and_works_again_with_it() {
    let (world, api) = quick().await;
    let browser = Browser::signed_in(&api, OPERATOR).await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    let file = world.home().join("dps.db");
    let pool = SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let rename = async |from: &str, to: &str| {
        let text = format!("ALTER TABLE {from} RENAME TO {to}");
        pool.execute(AssertSqlSafe(text)).await.unwrap();
    };
    rename("fleet_counts", "fleet_counts_away").await;
    let page = browser.get("/").await;
    assert_eq!(
        page.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        page.html
    );
    assert!(
        page.html.contains("The service cannot read its database"),
        "{}",
        page.html
    );
    // The numbers that a browser shows stay: the part is no page.
    let part = read(
        browser
            .request(Method::GET, "/")
            .header("hx-request", "true"),
    )
    .await;
    assert_eq!(part.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(part.headers["content-type"], "application/problem+json");
    rename("fleet_counts_away", "fleet_counts").await;
    let again = wait::until("the page", Duration::from_secs(20), || async {
        (browser.get("/").await.status == StatusCode::OK).then_some(())
    });
    again.await.unwrap();
}

/// A form that acts.
struct Call {
    path: String,
    form: Vec<(&'static str, &'static str)>,
    /// The status for a viewer, an operator and an admin.
    expected: [u16; 3],
}

const WAITING: &str = "www.nowhere.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_sees_every_page_and_acts_as_its_calls_may() {
    let (world, api) = quick().await;
    let id = world.customer.add(WAITING).await;
    world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    let viewer = Browser::signed_in(&api, VIEWER).await;
    let operator = Browser::signed_in(&api, OPERATOR).await;
    let admin = Browser::signed_in(&api, ADMIN).await;
    let domain = format!("/domains/{WAITING}");
    let pages = [
        "/",
        "/domains",
        &domain,
        "/causes",
        "/renewals",
        "/ca",
        "/edges",
        "/tenants",
        "/system",
        "/tenants/tenant-1",
        "/jobs",
        "/issuance",
    ];
    for browser in [&viewer, &operator, &admin] {
        for path in pages {
            let page = browser.get(path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.html);
            assert!(page.html.contains("aria-current=\"page\""), "{path}");
        }
    }

    // A form of a higher role is not shown, and refused if it is sent all the same.
    let retry = format!("{domain}/retry");
    let call = |path: &str, form: &[(&'static str, &'static str)], expected| Call {
        path: path.to_owned(),
        form: form.to_vec(),
        expected,
    };
    let renew = format!("{domain}/renew");
    let lift = [("limit", "ExactSet"), ("name", WAITING)];
    let approve = [("name", "http://127.0.0.1:1")];
    for Call {
        path,
        form,
        expected,
    } in [
        call(
            &retry,
            &[("reason", "the record is there")],
            [403, 303, 429],
        ),
        call(&renew, &[], [403, 409, 409]),
        call("/ca/lift", &lift, [403, 303, 303]),
        call("/edges/approve", &approve, [403, 403, 404]),
        call("/issuance/approve-removals", &[], [403, 303, 303]),
    ] {
        let browsers = [&viewer, &operator, &admin].into_iter();
        for (browser, expected) in browsers.zip(expected) {
            let page = browser.post(&path, &form).await;
            assert_eq!(page.status.as_u16(), expected, "{path}: {}", page.html);
            let is_page = page.html.contains("<h1>");
            assert_eq!(is_page, expected >= 400, "{path}: {}", page.html);
        }
        let page = Browser::of(&api).post(&path, &form).await;
        assert_eq!(page.headers[LOCATION], "/sign-in?next=%2F", "{path}");
    }
    assert!(!viewer.get(&domain).await.html.contains(&retry));
    let page = operator.get(&format!("{domain}?done=retry")).await;
    assert!(page.html.contains(&retry), "{}", page.html);
    assert!(
        page.html.contains("The next step is due now"),
        "{}",
        page.html
    );
    for text in ["admin:oleg", "the record is there", "DNS_NXDOMAIN"] {
        assert!(page.html.contains(text), "{text}: {}", page.html);
    }
    let page = operator.post(&retry, &[("reason", "a\nb")]).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.html);

    the_list_is_the_apis(&viewer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_previewed_confirmed_followed_and_cancelled() {
    let (world, api) = quick().await;
    for host in [WAITING, "www.neither.test"] {
        let id = world.customer.add(host).await;
        world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    }
    let viewer = Browser::signed_in(&api, VIEWER).await;
    let operator = Browser::signed_in(&api, OPERATOR).await;
    let form = "/jobs/new?filter=code%3DDNS_NXDOMAIN&action=retry";
    assert_eq!(viewer.get(form).await.status, StatusCode::FORBIDDEN);
    let page = operator.get(form).await;
    assert!(page.html.contains("Retry: 2 domains"), "{}", page.html);
    assert!(page.html.contains(WAITING), "{}", page.html);
    let wanted = |action: &'static str, confirm: &'static str, pace: &'static str| {
        [
            ("filter", "code=DNS_NXDOMAIN"),
            ("action", action),
            ("revocationReason", "superseded"),
            ("pacePerHour", pace),
            ("limit", ""),
            ("confirm", confirm),
            ("reason", "DNS is back"),
        ]
    };
    let retry = wanted("retry", "2", "");
    let page = viewer.post("/jobs", &retry).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let request = with_form(operator.request(Method::POST, "/jobs"), &retry);
    let page = read(request.header("sec-fetch-site", "cross-site")).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);

    // Nothing begins that was not seen in the preview.
    let of_all = [("action", "retry"), ("confirm", "9")];
    let unknown = [("filter", "statuses=Failed"), ("action", "retry")];
    for (form, status, text) in [
        (&wanted("retry", "1", "")[..], 409, "Nothing was begun"),
        (
            &wanted("retry", "2", "fast"),
            400,
            "<code>pacePerHour</code>",
        ),
        (&wanted("retry", "", ""), 400, "<code>confirm</code>"),
        (&wanted("dance", "2", ""), 400, "<code>action</code>"),
        (&wanted("revoke", "2", ""), 403, "needs Admin"),
        (&of_all, 400, "<code>all</code>"),
        (&unknown, 400, "unknown field"),
    ] {
        let page = operator.post("/jobs", form).await;
        assert_eq!(page.status.as_u16(), status, "{form:?}: {}", page.html);
        assert!(page.html.contains(text), "{form:?}: {}", page.html);
    }
    let page = operator.get("/jobs").await;
    assert!(
        page.html.contains("Nobody has begun a job"),
        "{}",
        page.html
    );

    let page = operator.post("/jobs", &retry).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.html);
    let job = page.headers[LOCATION].to_str().unwrap().to_owned();
    let done = wait::until("the end of the job", TIMEOUT, || async {
        let page = viewer.get(&job).await;
        page.html.contains("</span>Done</span>").then_some(page)
    });
    let page = done.await.unwrap();
    assert!(page.html.contains("DNS is back"), "{}", page.html);
    assert!(page.html.contains("href=\"/domains?code=DNS_NXDOMAIN\""));
    let page = operator.post(&format!("{job}/cancel"), &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.html);

    // A job that waits for its pace is cancelled, and leads to a new preview.
    let page = operator.post("/jobs", &wanted("recheck", "2", "1")).await;
    let job = page.headers[LOCATION].to_str().unwrap().to_owned();
    let page = operator.get(&job).await;
    assert!(page.html.contains("</span>Running</span>"), "{}", page.html);
    assert_eq!(
        viewer.post(&format!("{job}/cancel"), &[]).await.status,
        StatusCode::FORBIDDEN
    );
    let page = operator
        .post(&format!("{job}/cancel"), &[("reason", "enough")])
        .await;
    assert_eq!(page.headers[LOCATION], job.as_str());
    let page = operator.get(&job).await;
    assert!(
        page.html.contains("</span>Cancelled</span>"),
        "{}",
        page.html
    );
    let again = "/jobs/new?filter=code%3DDNS_NXDOMAIN&#38;action=recheck&#38;pacePerHour=1";
    assert!(page.html.contains(again), "{}", page.html);
    let page = viewer.get("/jobs").await;
    assert!(page.html.contains(&job), "{}", page.html);
    assert_eq!(viewer.get("/jobs/nothing").await.status.as_u16(), 400);
    assert_eq!(
        viewer.get("/jobs?before=nothing").await.status.as_u16(),
        400
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_seen_set_and_lifted() {
    let (world, api) = quick().await;
    let id = world.customer.add(WAITING).await;
    world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    let viewer = Browser::signed_in(&api, VIEWER).await;
    let operator = Browser::signed_in(&api, OPERATOR).await;
    let pause = [
        ("scope", "domain"),
        ("subject", WAITING),
        ("reason", "the <b>customer</b> asked"),
    ];
    for path in ["/issuance/pause", "/issuance/resume"] {
        let page = viewer.post(path, &pause).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    let page = operator.post("/issuance/pause", &pause).await;
    assert_eq!(
        page.headers[LOCATION], "/issuance?done=pause",
        "{}",
        page.html
    );
    let page = viewer.get("/issuance?done=pause").await;
    for text in [
        "The pause is in force",
        WAITING,
        "admin:oleg",
        "the &#60;b&#62;customer&#60;/b&#62; asked",
    ] {
        assert!(page.html.contains(text), "{text}: {}", page.html);
    }
    let page = viewer.get("/").await;
    let line = format!("Issuance is paused · {WAITING} · admin:oleg: the");
    assert!(page.html.contains(&line), "{}", page.html);
    for (form, field) in [
        (&[("scope", "galaxy")][..], "scope"),
        (&[("scope", "tenant"), ("subject", " ")], "subject"),
        (&[("scope", "all"), ("subject", "x")], "subject"),
        (&[("scope", "domain"), ("subject", "not a name")], "subject"),
    ] {
        let page = operator.post("/issuance/pause", form).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{form:?}");
        let text = format!("<code>{field}</code>");
        assert!(page.html.contains(&text), "{form:?}: {}", page.html);
    }
    let page = operator.post("/issuance/resume", &pause[..2]).await;
    assert_eq!(
        page.headers[LOCATION], "/issuance?done=resume",
        "{}",
        page.html
    );
    let page = operator.post("/issuance/resume", &pause[..2]).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.html);
    let page = viewer.get("/issuance").await;
    assert!(page.html.contains("Nothing is paused"), "{}", page.html);
    let page = operator.post("/issuance/approve-removals", &[]).await;
    assert_eq!(page.headers[LOCATION], "/issuance?done=approve");
    let page = viewer.get("/issuance").await;
    assert!(
        page.html.contains("All removals are approved until"),
        "{}",
        page.html
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_renewals_and_the_time_to_active_come_from_the_survey() {
    let (world, api) = quick().await;
    let id = world.add("shop.bakery.test").await;
    world.wait_for_status(&id, "Active").await;
    let viewer = Browser::signed_in(&api, VIEWER).await;
    let surveyed = wait::until("a survey of the domain", 2 * TIMEOUT, || async {
        let page = viewer.get("/").await;
        page.html.contains("Half within").then_some(page)
    });
    let page = surveyed.await.unwrap();
    assert!(
        page.html.contains("Domains first served</span><b>1</b>"),
        "{}",
        page.html
    );
    assert!(page.html.contains("<code>urgent</code>"), "{}", page.html);
    assert!(page.html.contains("</span>Alive</span>"), "{}", page.html);
    let page = viewer.get("/renewals").await;
    assert!(page.html.contains("<ol class=\"strip\""), "{}", page.html);
    assert!(!page.html.contains("The first survey"), "{}", page.html);
    let page = viewer.get("/tenants/tenant-1").await;
    assert!(page.html.contains("shop.bakery.test"), "{}", page.html);
    assert!(
        page.html
            .contains("/domains?tenant=tenant-1&#38;status=Active"),
        "{}",
        page.html
    );
    let page = viewer.get("/tenants/nobody").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

/// The list says which part of a filter cannot be used.
async fn the_list_is_the_apis(viewer: &Browser) {
    let page = viewer
        .get("/domains?q=nowhere&match=containing&code=&status=PendingDns")
        .await;
    assert!(page.html.contains(WAITING), "{}", page.html);
    let page = viewer.get("/domains?status=Failed").await;
    assert!(
        page.html.contains("No domain matches this filter"),
        "{}",
        page.html
    );
    for (query, text) in [
        ("after=nonsense", "Begin at the first page"),
        ("status=broken", "known are PendingDns"),
        ("q=%3Cb%3E&match=name", "<code>name</code>: "),
        ("q=x&match=regex", "give containing, name, prefix or suffix"),
        ("statuses=Failed", "unknown field"),
        ("edge=http://nowhere", "no edge"),
    ] {
        let page = viewer.get(&format!("/domains?{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(page.html.contains(text), "{query}: {}", page.html);
        assert!(!page.html.contains("<b>"), "{query}");
    }
    let page = viewer.get("//evil.test/x").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(!page.html.contains("evil.test"), "{}", page.html);
    let page = viewer.get("/domains/nobody.test").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let page = viewer.get("/domains/%3Cscript%3E").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(!page.html.contains("<script>"), "{}", page.html);
}
