//! The demo's DNS provider: customers change their records here, by HTTP.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use dps_domain::Hostname;
use dps_domain::hostname::HostnameError;
use dps_host::http_server::{self, ServerLimits};
use dps_lab::dns::Zone;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Longest text of a TXT record: one character-string (RFC 1035 §3.3).
const MAX_TEXT: usize = 255;
/// Longest body: one record.
const MAX_BODY: usize = 1024;

/// Serves `PUT /{name}` and `DELETE /{name}` until `stop`.
pub(super) async fn open(
    listen: SocketAddr,
    zone: Zone,
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .await
        .context("the demo's DNS desk cannot listen")?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/{name}", put(set).delete(clear))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(zone);
    tokio::spawn(http_server::serve(
        listener,
        routes,
        ServerLimits::default(),
        stop,
    ));
    Ok(address)
}

type Answer = (StatusCode, String);

async fn set(State(zone): State<Zone>, Path(name): Path<String>, record: String) -> Answer {
    match apply(&zone, &name, &record) {
        Ok(done) => (StatusCode::OK, format!("{done}\n")),
        Err(reason) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{reason}\n")),
    }
}

async fn clear(State(zone): State<Zone>, Path(name): Path<String>) -> Answer {
    match owner(&name) {
        Ok(name) => {
            zone.clear(&name);
            (
                StatusCode::OK,
                format!("{name} no longer has a record of its own.\n"),
            )
        }
        Err(error) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("{name}: {error}\n"),
        ),
    }
}

/// The name of a record in canonical form: a hostname, or one below a label such as
/// `_dps-challenge`.
fn owner(name: &str) -> Result<String, HostnameError> {
    match name.split_once('.') {
        Some((label, host)) if label.starts_with('_') => {
            let label = label.to_ascii_lowercase();
            Ok(format!("{label}.{}", Hostname::parse(host)?))
        }
        _ => Ok(Hostname::parse(name)?.to_string()),
    }
}

/// One record takes the place of all that the name had.
fn apply(zone: &Zone, name: &str, record: &str) -> Result<String, String> {
    let name = owner(name).map_err(|error| format!("{name}: {error}"))?;
    let usage = "write the record as \"CNAME customers.platform.test\", \"A 127.0.0.1\", \
                 \"AAAA ::1\" or \"TXT text\"";
    let (kind, value) = record.trim().split_once(' ').ok_or(usage)?;
    let value = value.trim();
    match (kind.to_ascii_uppercase().as_str(), value.parse::<IpAddr>()) {
        ("TXT", _) if value.len() <= MAX_TEXT => {
            zone.clear(&name);
            zone.set_txt(&name, &[value]);
        }
        ("CNAME", _) => {
            let target = Hostname::parse(value).map_err(|error| format!("{value}: {error}"))?;
            zone.clear(&name);
            zone.set_cname(&name, target.as_str())
                .map_err(|error| error.to_string())?;
        }
        ("A", Ok(IpAddr::V4(address))) => {
            zone.clear(&name);
            zone.set_a(&name, &[address]);
        }
        ("AAAA", Ok(IpAddr::V6(address))) => {
            zone.clear(&name);
            zone.set_aaaa(&name, &[address]);
        }
        _ => return Err(usage.to_owned()),
    }
    Ok(format!("{name} {} {value}", kind.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_accepted_or_the_answer_shows_how_to_write_one() {
        let zone = Zone::new();
        assert_eq!(
            apply(&zone, "Shop.Demo.Test", "cname customers.platform.test\n").unwrap(),
            "shop.demo.test CNAME customers.platform.test"
        );
        assert_eq!(
            apply(&zone, "_DPS-challenge.Shop.Demo.Test", "txt dps-verify=a").unwrap(),
            "_dps-challenge.shop.demo.test TXT dps-verify=a"
        );
        assert!(apply(&zone, "_x", "TXT a").is_err() && apply(&zone, "_x.a b", "TXT a").is_err());
        for bad in [
            "",
            "CNAME",
            "A ::1",
            "AAAA 127.0.0.1",
            "MX mail.test",
            "CNAME not_a_name",
        ] {
            assert!(apply(&zone, "shop.demo.test", bad).is_err(), "{bad}");
        }
    }
}
