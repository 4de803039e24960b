//! The HTTP probe against servers that answer wrongly, slowly, endlessly or not at all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/raw.rs"]
mod raw;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dps_application::ports::HttpProbe;
use dps_domain::Hostname;
use dps_domain::probe::ProbeAnswer;
use dps_infrastructure::http_probe::{HyperProbe, ProbeSettings};
use dps_lab::web::{Answer, WebServer};
use raw::{RawServer, read_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const HOST: &str = "shop.example.com";
const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const EXPECTED: &str =
    "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn settings(port: u16) -> ProbeSettings {
    ProbeSettings {
        port,
        allow_private: true,
        connect_timeout: Duration::from_millis(500),
        total_timeout: Duration::from_secs(1),
        ..ProbeSettings::default()
    }
}

async fn probe(server: SocketAddr) -> ProbeAnswer {
    let probe = HyperProbe::new(settings(server.port()));
    let host = Hostname::parse(HOST).unwrap();
    probe.probe(&host, server.ip(), TOKEN, EXPECTED).await
}

/// Probes a server that answers with these bytes and closes.
async fn answer_to(bytes: impl Into<Vec<u8>>) -> ProbeAnswer {
    let server = RawServer::answering(bytes).await;
    probe(server.address()).await
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn wrong(server: Option<&str>) -> ProbeAnswer {
    ProbeAnswer::WrongBody {
        server: server.map(str::to_owned),
    }
}

#[tokio::test]
async fn our_own_answer_is_recognised_with_white_space_behind_it() {
    for tail in ["", "\n", "\r\n", " \t\r\n\n"] {
        let answer = answer_to(response("200 OK", "", &format!("{EXPECTED}{tail}"))).await;
        assert_eq!(answer, ProbeAnswer::Ours, "{tail:?}");
    }
}

#[tokio::test]
async fn our_own_answer_is_recognised_in_every_framing() {
    let length = EXPECTED.len();
    for bytes in [
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{EXPECTED}\r\n0\r\n\r\n"
        ),
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{EXPECTED}"),
        format!("HTTP/1.0 200 OK\r\n\r\n{EXPECTED}"),
    ] {
        assert_eq!(answer_to(bytes.clone()).await, ProbeAnswer::Ours, "{bytes}");
    }
}

#[tokio::test]
async fn the_request_is_the_one_a_ca_would_send() {
    let (heads, mut received) = mpsc::unbounded_channel();
    let server = RawServer::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            heads.send(read_head(&mut stream).await).unwrap();
            let _ = stream
                .write_all(response("200 OK", "", EXPECTED).as_bytes())
                .await;
        }
    })
    .await;
    assert_eq!(probe(server.address()).await, ProbeAnswer::Ours);
    let head = received.recv().await.unwrap().to_ascii_lowercase();
    let path = format!(
        "get /.well-known/acme-challenge/{} http/1.1\r\n",
        TOKEN.to_ascii_lowercase()
    );
    assert!(head.starts_with(&path), "{head}");
    assert!(
        head.contains(&format!("\r\nhost: {HOST}:{}\r\n", server.address().port())),
        "{head}"
    );
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
}

#[tokio::test]
async fn another_body_names_its_server_in_sixty_four_printable_characters() {
    let answer = answer_to(response(
        "200 OK",
        "Server: nginx/1.27\r\n",
        "<html>parked</html>",
    ))
    .await;
    assert_eq!(answer, wrong(Some("nginx/1.27")));
    let long = format!("Server: {}\u{e9}\r\n", "x".repeat(200));
    let answer = answer_to(response("200 OK", &long, "no")).await;
    assert_eq!(answer, wrong(Some(&"x".repeat(64))));
    assert_eq!(answer_to(response("200 OK", "", "")).await, wrong(None));
}

#[tokio::test]
async fn a_body_that_only_begins_or_ends_like_ours_is_not_ours() {
    for body in [
        format!("{EXPECTED}x"),
        format!(" {EXPECTED}"),
        EXPECTED[1..].to_owned(),
        EXPECTED[..EXPECTED.len() - 1].to_owned(),
        EXPECTED.to_ascii_lowercase(),
        format!("{EXPECTED}{}", " ".repeat(1024)),
    ] {
        assert_eq!(
            answer_to(response("200 OK", "", &body)).await,
            wrong(None),
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_ours() {
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{EXPECTED}");
    assert_eq!(answer_to(bytes).await, wrong(None));
    let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{EXPECTED}");
    assert_eq!(answer_to(bytes).await, wrong(None));
}

#[tokio::test]
async fn redirects_are_reported_and_never_followed() {
    let other = RawServer::answering(response("200 OK", "", EXPECTED)).await;
    let location = format!("http://{}/elsewhere", other.address());
    let answer = answer_to(response(
        "301 Moved",
        &format!("Location: {location}\r\n"),
        "",
    ))
    .await;
    let location = Some(location);
    assert_eq!(
        answer,
        ProbeAnswer::Redirect {
            status: 301,
            location
        }
    );
    assert_eq!(other.connections(), 0);
    for status in [
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let answer = answer_to(response(status, "", "")).await;
        assert!(
            matches!(answer, ProbeAnswer::Redirect { location: None, .. }),
            "{answer:?}"
        );
    }
    let long = format!("Location: https://example.com/{}\r\n", "a".repeat(3_000));
    let ProbeAnswer::Redirect {
        location: Some(location),
        ..
    } = answer_to(response("302 Found", &long, "")).await
    else {
        panic!("no location")
    };
    assert_eq!(location.len(), 256);
}

#[tokio::test]
async fn every_other_status_is_reported_even_with_the_right_body() {
    for (line, status) in [
        ("404 Not Found", 404),
        ("403 Forbidden", 403),
        ("503 Busy", 503),
        ("201 Created", 201),
    ] {
        assert_eq!(
            answer_to(response(line, "", EXPECTED)).await,
            ProbeAnswer::Status(status)
        );
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_wrong_responder_and_no_panic() {
    let hostile: Vec<Vec<u8>> = vec![
        EXPECTED.as_bytes().to_vec(),
        b"<html>HTTP/0.9 lives</html>".to_vec(),
        b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0xff; 70_000],
        vec![0; 64],
        b"HTTP/1.1 99999 What\r\n\r\n".to_vec(),
        b"HTTP/3.0 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nBad Header\x01: \x00\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
    ];
    for bytes in hostile {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(answer_to(bytes).await, wrong(None), "{shown:?}");
    }
}

#[tokio::test]
async fn huge_and_countless_headers_are_given_up() {
    let huge = format!("X-Big: {}\r\n", "x".repeat(64 * 1024));
    assert_eq!(
        answer_to(response("200 OK", &huge, EXPECTED)).await,
        wrong(None)
    );
    let many = "X-Many: 1\r\n".repeat(500);
    assert_eq!(
        answer_to(response("200 OK", &many, EXPECTED)).await,
        wrong(None)
    );
    let endless = RawServer::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream
            .write_all(b"X-More: and more and more and more and more\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    assert_eq!(probe(endless.address()).await, wrong(None));
}

#[tokio::test]
async fn an_endless_body_is_given_up_at_once() {
    let server = RawServer::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nServer: hose\r\n\r\n")
            .await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let started = Instant::now();
    assert_eq!(probe(server.address()).await, wrong(Some("hose")));
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_time_out_within_its_bound() {
    let unanswering = RawServer::start(|mut stream| async move {
        let mut drain = [0; 1024];
        while stream.read(&mut drain).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let started = Instant::now();
    assert_eq!(probe(unanswering.address()).await, ProbeAnswer::Timeout);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_drips_is_a_time_out_in_head_and_body() {
    for head in [
        "HTTP/1.1 200 OK\r\nX: ",
        "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
    ] {
        let server = RawServer::start(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(b"x").await.is_ok() {
                pace.tick().await;
            }
        })
        .await;
        let started = Instant::now();
        assert_eq!(probe(server.address()).await, ProbeAnswer::Timeout);
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn refused_closed_and_reset_connections_are_refusals() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    assert_eq!(probe(address).await, ProbeAnswer::Refused);
    let closes = RawServer::start(|stream| async move { drop(stream) }).await;
    assert_eq!(probe(closes.address()).await, ProbeAnswer::Refused);
    let resets = RawServer::start(|stream| async move {
        stream.readable().await.unwrap();
        // Closing with unread bytes makes the kernel send RST.
        drop(stream);
    })
    .await;
    assert_eq!(probe(resets.address()).await, ProbeAnswer::Refused);
    let half_a_head = answer_to("HTTP/1.1 200 OK\r\nServer: x").await;
    assert_eq!(half_a_head, ProbeAnswer::Refused);
}

#[tokio::test]
async fn an_interim_answer_does_not_hide_the_final_one() {
    let bytes = format!(
        "HTTP/1.1 100 Continue\r\n\r\n{}",
        response("200 OK", "", EXPECTED)
    );
    assert_eq!(answer_to(bytes).await, ProbeAnswer::Ours);
}

#[tokio::test]
async fn forbidden_addresses_are_refused_without_a_packet() {
    let server = RawServer::answering(response("200 OK", "", EXPECTED)).await;
    let strict = HyperProbe::new(ProbeSettings {
        allow_private: false,
        forbidden_networks: vec!["100.20.0.0/16".parse().unwrap()],
        ..settings(server.address().port())
    });
    let host = Hostname::parse(HOST).unwrap();
    for (address, expected) in [
        ("127.0.0.1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("::1", "loopback"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "link-local"),
        ("0.0.0.0", "reserved"),
        ("::ffff:0.0.0.0", "reserved"),
        ("168.63.129.16", "reserved"),
        ("::ffff:0:7f00:1", "reserved"),
        ("100.20.1.1", "blocked"),
        ("::ffff:100.20.1.1", "blocked"),
    ] {
        let answer = strict
            .probe(&host, address.parse().unwrap(), TOKEN, EXPECTED)
            .await;
        assert_eq!(
            answer,
            ProbeAnswer::Forbidden { kind: expected },
            "{address}"
        );
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(
        probe(server.address()).await,
        ProbeAnswer::Ours,
        "the same server answers when allowed"
    );
}

#[tokio::test]
async fn an_address_that_the_kernel_turns_into_another_is_not_believed() {
    let server = RawServer::answering(response("200 OK", "", EXPECTED)).await;
    let host = Hostname::parse(HOST).unwrap();
    let probe = HyperProbe::new(settings(server.address().port()));
    let answer = probe
        .probe(&host, Ipv4Addr::UNSPECIFIED.into(), TOKEN, EXPECTED)
        .await;
    assert_eq!(answer, ProbeAnswer::Refused);
}

#[tokio::test]
async fn a_token_that_is_no_path_is_survived() {
    let server = RawServer::answering(response("200 OK", "", EXPECTED)).await;
    let probe = HyperProbe::new(settings(server.address().port()));
    let host = Hostname::parse(HOST).unwrap();
    let answer = probe
        .probe(&host, LOOPBACK, "a b\r\nX-Injected: 1", EXPECTED)
        .await;
    assert_eq!(answer, ProbeAnswer::Status(400));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_stranger_on_port_80_is_seen_for_what_he_is() {
    let path = format!("/.well-known/acme-challenge/{TOKEN}");
    let placeholder = Answer::Content {
        status: 200,
        body: "This domain is for sale".to_owned(),
    };
    let stranger = WebServer::start(SocketAddr::new(LOOPBACK, 0), placeholder)
        .await
        .unwrap();
    assert_eq!(probe(stranger.address()).await, wrong(None));
    let location = "https://shop.example.com/".to_owned();
    stranger.set_answer(Answer::Redirect {
        status: 301,
        location: location.clone(),
    });
    let location = Some(location);
    assert_eq!(
        probe(stranger.address()).await,
        ProbeAnswer::Redirect {
            status: 301,
            location
        }
    );
    stranger.set_answer(Answer::Endless);
    assert_eq!(probe(stranger.address()).await, wrong(None));
    stranger.set_answer(Answer::Close);
    assert_eq!(probe(stranger.address()).await, ProbeAnswer::Refused);
    stranger.set_answer(Answer::Unanswered);
    assert_eq!(probe(stranger.address()).await, ProbeAnswer::Timeout);
    let body = format!("{EXPECTED}\n");
    stranger.set_path(&path, Answer::Content { status: 200, body });
    assert_eq!(probe(stranger.address()).await, ProbeAnswer::Ours);
    let received = stranger.received();
    assert!(
        received.iter().all(|request| request.path == path),
        "{received:?}"
    );
}

#[tokio::test]
async fn a_cdn_is_known_by_its_headers_unless_it_passes_our_answer_on() {
    let cdn = |name, answer: &str| ProbeAnswer::Cdn {
        name,
        answer: answer.to_owned(),
    };
    for (status, headers, expected) in [
        (
            "403 Forbidden",
            "CF-RAY: 8a1-FRA\r\n",
            cdn("Cloudflare", "status 403"),
        ),
        (
            "200 OK",
            "X-Amz-Cf-Id: abc\r\n",
            cdn("Amazon CloudFront", "other content"),
        ),
        (
            "301 Moved Permanently",
            "Server: cloudflare\r\nLocation: https://shop.example.com/\r\n",
            cdn("Cloudflare", "redirect to https://shop.example.com/"),
        ),
        (
            "404 Not Found",
            "Server: nginx\r\n",
            ProbeAnswer::Status(404),
        ),
    ] {
        let seen = answer_to(response(status, headers, "x")).await;
        assert_eq!(seen, expected, "{status}");
    }
    let passed_on = response("200 OK", "Server: cloudflare\r\n", EXPECTED);
    assert_eq!(answer_to(passed_on).await, ProbeAnswer::Ours);
}
