//! The page of a domain, and the page in place of one that cannot be shown.

use std::net::IpAddr;
use std::time::Duration;

use askama::Template;
use dps_cabinet_api::CustomDomain;
use dps_domain::dns::DnsProvider;
use dps_domain::sentence::split_provider;
use dps_domain::{Failure, Timestamp};

use super::SetupPage;
use super::brand::{Assets, Brand, assets};
use super::records::{DnsRecord, in_unicode, records};
use super::stage::{Stage, Tone};
use super::texts::{Heading, Language, Notice, Texts, fill};
use crate::rules::Record;

/// A visit of a domain's page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) language: Language,
    /// The signature of the link, which was found right.
    pub(crate) signature: &'a str,
    pub(crate) notice: Option<Notice>,
    pub(crate) now: Timestamp,
}

/// The domain that a visit is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewed<'a> {
    pub(crate) record: &'a Record,
    /// The addresses that customers enter for names that cannot have a CNAME.
    pub(crate) edge_addresses: &'a [IpAddr],
}

/// The reason why a page is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The link was not signed by us, has expired, or names no domain.
    UnknownLink,
    /// The page was visited too often.
    TooManyVisits,
    /// The store does not answer.
    Busy,
}

struct Step {
    name: &'static str,
    class: &'static str,
    state: &'static str,
    is_current: bool,
}

/// A moment inside a sentence.
struct Moment {
    before: String,
    at: String,
    shown: String,
    after: String,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupTemplate<'a> {
    texts: &'static Texts,
    languages: [&'static Texts; 2],
    assets: Assets,
    brand: &'a Brand,
    /// The address of this page without its language.
    link: String,
    title: String,
    host: &'a str,
    version: u64,
    poll_seconds: u32,
    tone: Tone,
    headline: String,
    paragraphs: Vec<String>,
    notice: Option<&'static str>,
    open_url: Option<String>,
    steps: Vec<Step>,
    original: Option<&'a str>,
    /// Whether the original is all that the page says about the failure.
    is_original_open: bool,
    records: &'a [DnsRecord],
    records_title: String,
    records_lead: &'static str,
    records_hint: String,
    provider: Option<&'static DnsProvider>,
    provider_link: String,
    check_action: Option<String>,
    checks_by_itself: bool,
    next_check: Option<Moment>,
    valid_until: Option<Moment>,
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedTemplate {
    texts: &'static Texts,
    assets: Assets,
    headline: &'static str,
    lead: &'static str,
}

/// A template could not be filled in.
pub(crate) type RenderError = askama::Error;

impl SetupPage {
    /// The page of a domain.
    ///
    /// # Errors
    /// A fault of the template.
    pub(crate) fn render(
        &self,
        viewed: Viewed<'_>,
        visit: Visit<'_>,
    ) -> Result<String, RenderError> {
        let (domain, texts) = (&viewed.record.domain, visit.language.texts());
        let failure = last_failure(domain);
        let stage = Stage::of(domain, viewed.record.retried_at, failure.as_ref());
        let wanted = records(domain, viewed.edge_addresses, failure.as_ref());
        let host = in_unicode(&domain.canonical_host);
        let zone = in_unicode(&wanted.zone);
        let filled = |text: &str| fill(text, &[("host", &host), ("zone", &zone)]);
        let message = domain.last_error_message.as_deref();
        let (sentence, provider) = message.map_or((None, None), |message| {
            let (sentence, provider) = split_provider(message);
            (Some(sentence), provider)
        });
        let heading = texts.heading(stage);
        let headline = filled(heading.headline);
        let translated = visit
            .language
            .failure_sentence(failure.as_ref(), sentence, &host);
        let is_untranslated = translated.is_none();
        let is_english = visit.language == Language::English;
        let is_refused = failure
            .as_ref()
            .is_some_and(Failure::refuses_name_or_target);
        let has_records = stage.has_records() && !is_refused;
        let is_done = matches!(stage, Stage::Live | Stage::LiveWithProblem);
        let is_created = is_done || matches!(stage, Stage::Connecting | Stage::Issuing);
        let (records_title, records_lead) = if is_created {
            (texts.kept_title, texts.kept_lead)
        } else {
            (texts.records_title, texts.records_lead)
        };
        let link = format!("{}?sig={}", domain.id, visit.signature);
        let action = format!(
            "{}/check?sig={}&lang={}",
            domain.id, visit.signature, texts.lang
        );
        let template = SetupTemplate {
            texts,
            languages: Language::ALL.map(Language::texts),
            assets: assets(&self.theme, ""),
            brand: &self.brand,
            link,
            title: match stage {
                Stage::Live => headline.clone(),
                _ => filled(texts.title),
            },
            host: &host,
            version: domain.version,
            poll_seconds: stage.poll_seconds(),
            tone: stage.tone(),
            headline,
            paragraphs: paragraphs(stage, filled(heading.lead), translated),
            notice: visit.notice.map(|notice| notice.text(texts)),
            open_url: is_done.then(|| format!("https://{}", domain.canonical_host)),
            steps: steps(stage, domain, texts),
            original: sentence.filter(|_| !is_english && stage.has_records()),
            is_original_open: is_untranslated,
            records: if has_records { &wanted.records } else { &[] },
            records_title: filled(records_title),
            records_lead,
            records_hint: fill(
                if wanted.is_top {
                    texts.top_hint
                } else {
                    texts.records_hint
                },
                &[("zone", &zone), ("host", &domain.canonical_host)],
            ),
            provider,
            provider_link: provider.map_or(String::new(), |provider| {
                fill(texts.provider, &[("provider", provider.name)])
            }),
            check_action: stage.offers_check().then_some(action),
            checks_by_itself: stage != Stage::Stopped,
            next_check: domain
                .next_attempt_at
                .map(|at| next_check(texts, at, visit.now)),
            valid_until: domain
                .certificate_not_after
                .filter(|_| is_done)
                .map(|at| moment(texts.valid_until, at, day(at))),
        };
        template.render()
    }

    /// The page in place of one that is not shown. `up` leads from its address to the folder of
    /// pages.
    ///
    /// # Errors
    /// A fault of the template.
    pub(crate) fn render_refused(
        &self,
        refused: Refused,
        language: Language,
        up: &str,
    ) -> Result<String, RenderError> {
        let texts = language.texts();
        let Heading { headline, lead } = match refused {
            Refused::UnknownLink => &texts.unknown_link,
            Refused::TooManyVisits => &texts.too_many_visits,
            Refused::Busy => &texts.busy,
        };
        let template = RefusedTemplate {
            texts,
            assets: assets(&self.theme, up),
            headline,
            lead,
        };
        template.render()
    }
}

/// The last failure, if the report has it as this version knows it.
fn last_failure(domain: &CustomDomain) -> Option<Failure> {
    let details = domain.error_details.clone()?;
    let failure: Failure = serde_json::from_value(details.into()).ok()?;
    let is_reported = domain.last_error_code.as_deref() == Some(failure.code().as_str());
    is_reported.then_some(failure)
}

fn paragraphs(stage: Stage, lead: String, sentence: Option<String>) -> Vec<String> {
    match (stage, sentence) {
        (Stage::ActionNeeded | Stage::Waiting | Stage::OurSide, Some(sentence)) => vec![sentence],
        (Stage::LiveWithProblem | Stage::Stopped, Some(sentence)) => vec![sentence, lead],
        _ => vec![lead],
    }
}

fn steps(stage: Stage, domain: &CustomDomain, texts: &'static Texts) -> Vec<Step> {
    let Some(done) = stage.steps_done(domain) else {
        return Vec::new();
    };
    let step = |(place, name): (usize, &&'static str)| {
        let (class, words) = match place.cmp(&done) {
            std::cmp::Ordering::Less => ("done", texts.step_done),
            std::cmp::Ordering::Equal => ("current", texts.step_current),
            std::cmp::Ordering::Greater => ("todo", texts.step_todo),
        };
        Step {
            name,
            class,
            state: words,
            is_current: place == done,
        }
    };
    texts.steps.iter().enumerate().map(step).collect()
}

fn next_check(texts: &Texts, at: Timestamp, now: Timestamp) -> Moment {
    moment(texts.next_check, at, distance(texts, at.since(now)))
}

fn moment(text: &str, at: Timestamp, shown: String) -> Moment {
    let (before, after) = text.split_once("{at}").unwrap_or((text, ""));
    Moment {
        before: before.to_owned(),
        at: at.to_string(),
        shown,
        after: after.to_owned(),
    }
}

/// The time until a moment in the largest unit, rounded up.
fn distance(texts: &Texts, left: Duration) -> String {
    let seconds = left.as_secs();
    let (text, unit) = match seconds {
        0..5 => return texts.next_check_now.to_owned(),
        5..60 => (texts.in_seconds, 1),
        60..3600 => (texts.in_minutes, 60),
        3600..=86_400 => (texts.in_hours, 3600),
        86_401.. => (texts.in_days, 86_400),
    };
    fill(text, &[("n", &seconds.div_ceil(unit).to_string())])
}

/// The date of a moment, in UTC.
fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('T')
        .map_or(text.clone(), |(day, _)| day.to_owned())
}
