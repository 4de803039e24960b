//! Origins of web pages, as a content security policy names them.

use dps_domain::Hostname;

/// An origin: scheme, host and port. It holds only characters that a policy's source may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebOrigin(String);

impl WebOrigin {
    /// Reads `https://host` or `https://*.host`, with or without a port. The scheme `http` is for
    /// this machine only.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return None;
        }
        let is_local = matches!(host, "localhost" | "127.0.0.1");
        let is_name = |name: &str| {
            Hostname::parse(name).is_ok_and(|parsed| parsed.as_str().eq_ignore_ascii_case(name))
        };
        let is_usable = match scheme {
            "https" => is_local || is_name(host.strip_prefix("*.").unwrap_or(host)),
            "http" => is_local,
            _ => false,
        };
        is_usable.then(|| Self(text.to_owned()))
    }

    /// The origin of an address.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let path = &after[end..];
        let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic());
        let origin = Self::parse(&format!("{scheme}://{}", &after[..end]))?;
        (is_visible && !origin.0.contains('*')).then_some(origin)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_that_cannot_change_a_policy_are_read() {
        for origin in [
            "https://app.platform.example",
            "https://*.platform.example",
            "https://app.platform.example:8443",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
        ] {
            assert!(WebOrigin::parse(origin).is_some(), "{origin}");
        }
        for wrong in [
            "",
            "*",
            "https://*",
            "https:",
            "'self'",
            "http://app.platform.example",
            "https://app.platform.example/",
            "https://a.example; script-src *",
            "https://a.example https://b.example",
            "https://a.example:port",
            "https://user@a.example",
            "data:text/html,x",
        ] {
            assert_eq!(WebOrigin::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_has_the_origin_of_its_host() {
        let origin = |url| WebOrigin::of_url(url).map(|origin| origin.0);
        let cdn = Some("https://cdn.platform.example".to_owned());
        assert_eq!(origin("https://cdn.platform.example/logo.svg?v=1"), cdn);
        for wrong in [
            "javascript:alert(1)",
            "https://*.platform.example/x",
            "//cdn.platform.example/x",
            "https://cdn.platform.example/a b",
            "https://cdn.platform.example/\u{fc}",
        ] {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }
}
