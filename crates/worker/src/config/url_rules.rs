//! Rules for all URLs in the settings.

use url::{Host, Url};

use super::report::Report;

/// Checks a base URL of calls with a bearer token: http or https with host, port and path only.
/// Warns about http to another machine.
pub(super) fn check_base_url(report: &mut Report, key: &str, url: &Url) {
    check_form(report, key, url);
    if url.scheme() == "http" && !is_loopback(url) && !has_credentials(url) {
        report.warning(
            key,
            format!(
                "{url} is not encrypted: the token and the keys can be read on the way; use https"
            ),
        );
    }
}

/// Checks the form of a base URL: http or https with host, port and path only.
pub(super) fn check_form(report: &mut Report, key: &str, url: &Url) {
    if has_credentials(url) {
        return report.error(
            key,
            "must not contain a user name or password; the token has its own key",
        );
    }
    if !matches!(url.scheme(), "http" | "https") {
        return report.error(key, format!("{url} must begin with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        report.error(
            key,
            format!("{url} must not have a query ('?') or a fragment ('#')"),
        );
    }
}

pub(super) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
