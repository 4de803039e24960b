//! The hosts that a CA may send us to.

use http::Uri;
use url::Url;

use super::problem::tidy;

/// The directory's host and port, and the hosts that the operator allows.
#[derive(Debug)]
pub(super) struct Hosts {
    directory: String,
    allowed: Vec<String>,
}

impl Hosts {
    pub(super) fn new(directory_url: &Url, allowed: &[String]) -> Self {
        let host = directory_url.host_str().unwrap_or_default();
        let port = directory_url.port_or_known_default().unwrap_or_default();
        Self {
            directory: format!("{host}:{port}").to_ascii_lowercase(),
            allowed: allowed
                .iter()
                .map(|host| host.trim().to_ascii_lowercase())
                .collect(),
        }
    }

    /// Refuses an address on another host, with the remedy. A directory that is not what it was
    /// must not turn the service into a caller of addresses inside the operator's network.
    pub(super) fn check(&self, uri: &Uri) -> Result<(), String> {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let default = if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        let with_port = format!("{host}:{}", uri.port_u16().unwrap_or(default));
        let is_allowed = |allowed: &String| *allowed == host || *allowed == with_port;
        if with_port == self.directory || self.allowed.iter().any(is_allowed) {
            return Ok(());
        }
        Err(tidy(&format!(
            "the CA names an address at {with_port}, not at its directory's {}; nothing was sent. If that host is the CA's \
             as well, add it to LetsEncrypt:AllowedHosts",
            self.directory
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_directorys_host_and_port_and_those_allowed_are_called() {
        let directory = "https://CA.example/directory".parse().unwrap();
        let hosts = Hosts::new(
            &directory,
            &["Orders.example".to_owned(), "ari.example:8443".to_owned()],
        );
        for (url, is_allowed) in [
            ("https://ca.example/order/1", true),
            ("https://ca.example:443/order/1", true),
            ("https://CA.EXAMPLE/order/1", true),
            ("https://orders.example/1", true),
            ("https://orders.example:9443/1", true),
            ("https://ari.example:8443/1", true),
            ("https://ari.example/1", false),
            ("https://ca.example:8443/order/1", false),
            ("https://ca.example.evil.example/", false),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://ca.example@evil.example/", false),
            ("/order/1", false),
        ] {
            let verdict = hosts.check(&url.parse().unwrap());
            assert_eq!(verdict.is_ok(), is_allowed, "{url}");
            assert!(
                verdict
                    .err()
                    .is_none_or(|text| text.contains("LetsEncrypt:AllowedHosts"))
            );
        }
    }

    #[test]
    fn an_ipv6_directory_is_its_own_host() {
        let hosts = Hosts::new(&"http://[::1]:14000/dir".parse().unwrap(), &[]);
        assert!(
            hosts
                .check(&"http://[::1]:14000/order".parse().unwrap())
                .is_ok()
        );
        assert!(
            hosts
                .check(&"http://[::1]:14001/order".parse().unwrap())
                .is_err()
        );
    }
}
