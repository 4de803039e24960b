//! The pages.

use dps_dashboard::{Language, Template};

use crate::html::{check, parse};
use crate::samples;

/// Texts that customers, CAs and others can make a part of a page.
const HOSTILE: [&str; 12] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onfocus='alert(1)' autofocus='",
    "</title></textarea></svg><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}{% if true %}",
    "&lt;b&gt; &#60;script&#62;",
    "<!-- --><!--",
    "]]><![CDATA[",
    "\u{202e}moc.live\u{202c}",
    "line\nbreak\r\nand \u{0} zero",
    "style=\"position:fixed\" hx-get=\"https://evil.test\"",
];

/// Every page, with this text wherever others write texts.
fn pages(language: Language, text: &str) -> Vec<(&'static str, String)> {
    vec![
        ("overview", samples::overview(language, text).render()),
        ("sign in", samples::sign_in(language, text).render()),
        ("problem", samples::problem(language, text).render()),
        ("domains", samples::domains(language, text).render()),
        ("domain", samples::domain_view(language, text).render()),
        ("causes", samples::causes(language, text).render()),
        ("renewals", samples::renewals(language, text).render()),
        ("limits", samples::limits(language, text).render()),
        ("edges", samples::edges(language, text).render()),
        ("tenants", samples::tenants(language, text).render()),
        ("system", samples::system(language, text).render()),
        ("diagnosis", samples::diagnosis(language, text).render()),
        ("activity", samples::activity(language, text).render()),
        ("job form", samples::job_form(language, text).render()),
        ("jobs", samples::jobs(language, text).render()),
        ("job", samples::job(language, text).render()),
        ("tenant", samples::tenant(language, text).render()),
        ("issuance", samples::issuance(language, text).render()),
    ]
    .into_iter()
    .map(|(name, page)| (name, page.unwrap()))
    .collect()
}

#[test]
fn every_page_keeps_the_rules_in_both_languages() {
    for language in Language::ALL {
        for (name, page) in pages(language, "edge-1.test") {
            check(name, &page);
            assert!(page.len() < 150_000, "{name} has {} bytes", page.len());
        }
    }
}

#[test]
fn hostile_texts_change_no_page() {
    for (index, (name, calm)) in pages(Language::English, "calm").into_iter().enumerate() {
        let shape = |page: &str| -> Vec<(String, Vec<String>)> {
            let tags = parse(page).into_iter();
            tags.map(|tag| (tag.name, tag.attributes.into_keys().collect()))
                .collect()
        };
        for text in HOSTILE {
            let (_, page) = &pages(Language::English, text)[index];
            assert_eq!(shape(page), shape(&calm), "{name}: {text}");
            check(name, page);
        }
    }
}

#[test]
fn a_calm_fleet_is_all_clear_and_another_says_what_needs_attention() {
    let mut view = samples::overview(Language::English, "edge-1.test");
    let page = view.render().unwrap();
    for text in [
        "Attention",
        "Issuance is paused · edge-1.test, … · edge-1.test: edge-1.test",
        "<b>40</b> Domains that wait for the operator",
        "<b>10\u{202f}000+</b>",
    ] {
        assert!(page.contains(text), "{text}");
    }
    view.fleet = samples::calm_fleet();
    view.edges.retain(|edge| edge.state == "answers");
    view.limits.clear();
    let page = view.render().unwrap();
    assert!(page.contains("Attention"), "a pause alone");
    view.pause = None;
    let page = view.render().unwrap();
    assert!(page.contains("All clear"));
    assert!(!page.contains("class=\"attention\""));
    view.page.now = samples::seconds_ago(-3_600);
    assert!(view.render().unwrap().contains("The counts are older"));
}

#[test]
fn a_viewer_sees_no_control_that_acts() {
    let viewer = |mut page: dps_dashboard::Page| {
        page.user = page.user.map(|user| dps_dashboard::User {
            is_operator: false,
            is_admin: false,
            ..user
        });
        page
    };
    let language = Language::English;
    let acting = [
        "/retry\"",
        "/recheck\"",
        "/renew\"",
        "\"/ca/lift\"",
        "\"/edges/approve\"",
        "\"/edges/compare\"",
        "action=\"/jobs/new\"",
        "/cancel\"",
        "\"/issuance/pause\"",
        "\"/issuance/resume\"",
        "\"/issuance/approve-removals\"",
    ];
    let pages = |change: &dyn Fn(dps_dashboard::Page) -> dps_dashboard::Page| {
        let mut domain = samples::domain_view(language, "a.test");
        domain.page = change(domain.page);
        let mut limits = samples::limits(language, "a.test");
        limits.page = change(limits.page);
        let mut edges = samples::edges(language, "a.test");
        let mut member = edges.edges[0].clone();
        member.state = "answers";
        edges.edges.push(member);
        edges.page = change(edges.page);
        let mut list = samples::domains(language, "a.test");
        list.page = change(list.page);
        let mut job = samples::job(language, "a.test");
        job.page = change(job.page);
        let mut issuance = samples::issuance(language, "a.test");
        issuance.page = change(issuance.page);
        let pages = [
            domain.render(),
            limits.render(),
            edges.render(),
            list.render(),
            job.render(),
            issuance.render(),
        ];
        pages.map(Result::unwrap).concat()
    };
    let (seen, all) = (pages(&viewer), pages(&|page| page));
    for action in acting {
        assert!(all.contains(action), "{action}");
        assert!(!seen.contains(action), "{action}");
    }
}

#[test]
fn a_job_is_begun_from_its_preview_alone_and_all_domains_must_be_said() {
    let language = Language::English;
    let mut view = samples::job_form(language, "a.test");
    let page = view.render().unwrap();
    assert!(page.contains("action=\"/jobs\""), "{page}");
    assert!(page.contains("name=\"confirm\" value=\"412\""), "{page}");
    assert!(page.contains("Revoke the certificate: 412 domains"));
    assert!(page.contains("and others: 410"), "{page}");
    assert!(!page.contains("name=\"all\""));
    view.fields.filter = dps_dashboard::FilterFields::default();
    assert!(
        view.render()
            .unwrap()
            .contains("name=\"all\" value=\"yes\" required")
    );
    view.page.user = view.page.user.map(|user| dps_dashboard::User {
        is_admin: false,
        ..user
    });
    let page = view.render().unwrap();
    assert!(!page.contains("action=\"/jobs\""), "only an admin revokes");
    "renew".clone_into(&mut view.fields.action);
    assert!(view.render().unwrap().contains("action=\"/jobs\""));
    view.preview = None;
    assert!(!view.render().unwrap().contains("action=\"/jobs\""));

    let mut view = samples::job(language, "a.test");
    let page = view.render().unwrap();
    assert!(page.contains("100 of 412 done, 7 refused by their state"));
    assert!(page.contains("<progress aria-labelledby=\"progress\" value=\"107\" max=\"412\">"));
    assert!(page.contains("hx-trigger=\"every 2s\""));
    "done".clone_into(&mut view.job.state);
    let page = view.render().unwrap();
    assert!(
        !page.contains("hx-trigger") && !page.contains("/cancel\""),
        "{page}"
    );
}

#[test]
fn renewals_say_what_is_ahead_and_what_is_late() {
    let mut view = samples::renewals(Language::English, "a.test");
    let page = view.render().unwrap();
    for text in [
        "<li class=\"grade-0\"><span>01-15</span><b>0</b></li>",
        "<li class=\"grade-4\"><span>02-13</span><b>841</b></li>",
        "Later: 900",
        "<b class=\"bad-text\">99.9\u{a0}%</b>",
        "<b class=\"bad-text\">10\u{202f}000+</b>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    view.survey = None;
    let page = view.render().unwrap();
    assert!(page.contains("The first survey has not ended yet"));
    let mut view = samples::overview(Language::English, "a.test");
    let page = view.render().unwrap();
    for text in [
        "Half within",
        "<b>45\u{a0}s</b>",
        "<b>2\u{a0}h</b>",
        "10\u{202f}000+",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    view.time_to_active = None;
    assert!(
        view.render()
            .unwrap()
            .contains("No domain was first served")
    );
}

#[test]
fn an_end_that_is_not_complete_offers_the_same_request_again() {
    let language = Language::English;
    let page = samples::issuance(language, "t-7").render().unwrap();
    let again = "<input type=\"hidden\" name=\"scope\" value=\"t-7\"><input type=\"hidden\" name=\"subject\" value=\"t-7\"><button type=\"submit\">Reach the others</button>";
    assert!(page.contains(again), "{page}");
    let page = samples::limits(language, "t-7").render().unwrap();
    let again = "<input type=\"hidden\" name=\"limit\" value=\"t-7\"><input type=\"hidden\" name=\"name\" value=\"t-7\"><button type=\"submit\">Reach the others</button>";
    assert!(page.contains(again), "{page}");
    let mut view = samples::limits(language, "t-7");
    view.lifted_in_part = None;
    assert!(!view.render().unwrap().contains("Reach the others"));
}

#[test]
fn a_place_that_is_too_old_leads_to_the_first_page() {
    let mut view = samples::domains(Language::English, "a.test");
    view.domains = None;
    view.problem = Some((
        "after".to_owned(),
        "the place is of another list".to_owned(),
    ));
    let page = view.render().unwrap();
    assert!(page.contains("Begin at the first page"), "{page}");
    assert!(
        page.contains("href=\"/domains?q=a.test&#38;tenant=a.test"),
        "{page}"
    );
}

#[test]
fn the_languages_differ_and_the_page_says_which_it_is() {
    let [english, russian] = Language::ALL.map(|language| pages(language, "a.test"));
    for ((name, english), (_, russian)) in english.iter().zip(&russian) {
        assert!(english.contains("<html lang=\"en\""), "{name}");
        assert!(russian.contains("<html lang=\"ru\""), "{name}");
        assert_ne!(english.len(), russian.len(), "{name}");
    }
}
