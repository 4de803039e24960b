//! The frame of a page: who looks, in which language and theme, and where.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use dps_dashboard::{Language, Page, Section, Theme, User};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{see_other, session};
use crate::admin::App;
use crate::admin::problem::Refusal;
use crate::config::AdminRole;

const LANGUAGE: &str = "dps-language";
const THEME: &str = "dps-theme";
/// Seconds for which a browser keeps the language and the theme: a year.
const KEPT: u32 = 365 * 86_400;
/// Longest path that a form may lead back to, in bytes.
const MAX_PATH: usize = 2_048;

/// The frame of the requested page.
pub(super) struct Frame {
    pub(super) page: Page,
}

impl Frame {
    pub(super) fn of(app: &App, parts: &mut Parts, section: Section) -> Self {
        let headers = &parts.headers;
        let user = session::caller(app, headers).map(|caller| User {
            name: caller.name.to_string(),
            role: caller.role.as_str(),
            is_operator: caller.role >= AdminRole::Operator,
            is_admin: caller.role >= AdminRole::Admin,
        });
        let here = parts.uri.path_and_query().map_or("/", |here| here.as_str());
        let here = match parts.method {
            Method::GET => here,
            _ => page_of_form(parts.uri.path()),
        };
        let page = Page {
            language: language(headers),
            theme: cookie(headers, THEME)
                .and_then(Theme::named)
                .unwrap_or_default(),
            now: app.now(),
            here: own_path(here).to_owned(),
            section,
            user,
        };
        Self { page }
    }

    /// The page in a section of the navigation.
    pub(super) fn within(self, section: Section) -> Page {
        Page {
            section,
            ..self.page
        }
    }
}

impl FromRequestParts<Arc<App>> for Frame {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        Ok(Self::of(app, parts, Section::Other))
    }
}

fn language(headers: &HeaderMap) -> Language {
    let chosen = cookie(headers, LANGUAGE).and_then(Language::of_tag);
    chosen.unwrap_or_else(|| {
        let accepted = headers.get(ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|value| value.to_str().ok());
        accepted.map(Language::accepted).unwrap_or_default()
    })
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).into_iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// A form of a page.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let form = axum::extract::Form::<T>::from_request(request, state).await;
        form.map(|axum::extract::Form(form)| Self(form))
            // The text of a form may be a token, so the refusal repeats none of it.
            .map_err(|_| Refusal::field("body", "send the form of the page, of at most 16 KiB"))
    }
}

/// A path of this service, as a form or a query gives it; the overview instead of anything else.
pub(super) fn own_path(path: &str) -> &str {
    let is_own = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.len() <= MAX_PATH
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_own { path } else { "/" }
}

/// The page whose form is sent to this path.
fn page_of_form(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((page, _)) if !page.is_empty() => page,
        _ => "/",
    }
}

/// Language and theme, as the form at the foot of every page sends them.
#[derive(Debug, Deserialize)]
pub(super) struct Preferences {
    language: String,
    theme: String,
    next: String,
}

/// Keeps language and theme in cookies.
pub(super) async fn prefer(
    State(app): State<Arc<App>>,
    Form(chosen): Form<Preferences>,
) -> Result<Response, Refusal> {
    let language = Language::of_tag(&chosen.language);
    let language = language.ok_or_else(|| Refusal::field("language", "give en or ru"))?;
    let theme = Theme::named(&chosen.theme);
    let theme = theme.ok_or_else(|| Refusal::field("theme", "give system, light or dark"))?;
    let mut response = see_other(own_path(&chosen.next));
    for (name, value) in [(LANGUAGE, language.tag()), (THEME, theme.as_str())] {
        set_cookie(&app, &mut response, (name, value), KEPT);
    }
    Ok(response)
}

/// Sets a cookie for this service alone, that no script reads and no other site makes a browser
/// send.
pub(super) fn set_cookie(
    app: &App,
    response: &mut Response,
    (name, value): (&str, &str),
    seconds: u32,
) {
    let secure = if app.is_encrypted { "; Secure" } else { "" };
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_this_service_alone() {
        for path in ["/", "/domains?status=Failed&q=a%20b", "/domains/a.test#x"] {
            assert_eq!(own_path(path), path);
        }
        let long = format!("/{}", "x".repeat(MAX_PATH));
        for path in [
            "",
            "domains",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "/a\r\nb",
            &long,
        ] {
            assert_eq!(own_path(path), "/", "{path:?}");
        }
    }

    #[test]
    fn a_form_belongs_to_the_page_above_its_path() {
        for (path, page) in [
            ("/domains/a.test/retry", "/domains/a.test"),
            ("/ca/lift", "/ca"),
            ("/edges/approve", "/edges"),
            ("/sign-out", "/"),
            ("/preferences", "/"),
        ] {
            assert_eq!(page_of_form(path), page);
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; xb=2;b=3; b=4"));
        headers.append(COOKIE, HeaderValue::from_static("c=5=6"));
        assert_eq!(cookie(&headers, "b"), Some("3"));
        assert_eq!(cookie(&headers, "c"), Some("5=6"));
        assert_eq!(cookie(&headers, "d"), None);
    }
}
