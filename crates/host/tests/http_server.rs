//! The HTTP server on real sockets, against clients that mean no good.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use dps_host::http_server::{ServerLimits, serve};
use dps_host::{Secret, TokenGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(20);
const TOKEN: &str = "0123456789abcdef";

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    /// Fires when a request for `/slow` has come in.
    arrived: Arc<Notify>,
    /// Lets that request be answered.
    release: Arc<Notify>,
    /// Has a permit for each request for `/guarded` that has come in.
    guarded: Arc<Semaphore>,
    task: JoinHandle<()>,
}

async fn server(limits: ServerLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        async move || {
            arrived.notify_one();
            release.notified().await;
            "slow"
        }
    };
    let guarded = Arc::new(Semaphore::new(0));
    let guard = Arc::new(TokenGuard::new("test", &Secret::from(TOKEN)));
    let shown = {
        let guarded = Arc::clone(&guarded);
        async move |request: Request| {
            guarded.add_permits(1);
            if guard.admits(request.headers(), request.extensions()).await {
                StatusCode::OK
            } else {
                StatusCode::UNAUTHORIZED
            }
        }
    };
    let routes = Router::new()
        .route("/", get(async || "hello"))
        .route("/guarded", get(shown))
        .route("/slow", get(slow));
    let task = tokio::spawn(serve(listener, routes, limits, stop.clone()));
    Server {
        address,
        stop,
        arrived,
        release,
        guarded,
        task,
    }
}

impl Server {
    /// Sends a request with this token; returns when it has arrived.
    async fn show(&self, token: &str) -> TcpStream {
        let head = format!(
            "GET /guarded HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let stream = self.send(head.as_bytes()).await;
        let arrival = timeout(TIMEOUT, self.guarded.acquire()).await;
        arrival.expect("the request arrives").unwrap().forget();
        stream
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// Everything until the server closes.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut text)).await;
    read.expect("the server closes the connection in time").ok();
    String::from_utf8(text).unwrap()
}

const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_is_answered() {
    let server = server(ServerLimits::default()).await;
    let answer = until_closed(server.send(CLOSING).await).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_put_off() {
    let limits = ServerLimits {
        head_timeout: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let server = server(limits).await;
    let answer = until_closed(server.send(b"GET / HTTP/1.1\r\nHost:").await).await;
    assert!(!answer.contains("200"), "{answer}");
    let kept = server.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        until_closed(kept).await.ends_with("hello"),
        "an idle connection is closed too"
    );
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let server = server(ServerLimits::default()).await;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(64 * 1024)
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.ok();
    let answer = until_closed(stream).await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn more_connections_than_the_bound_wait_for_their_turn() {
    let limits = ServerLimits {
        connections: 1,
        ..ServerLimits::default()
    };
    let server = server(limits).await;
    let first = server
        .send(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    server.arrived.notified().await;
    let mut second = server.send(CLOSING).await;
    let early = timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "the second connection must wait: {early:?}");
    server.release.notify_one();
    assert!(until_closed(first).await.ends_with("slow"));
    assert!(until_closed(second).await.ends_with("hello"));
}

#[tokio::test]
async fn at_the_stop_running_requests_finish_and_idle_connections_close() {
    let server = server(ServerLimits::default()).await;
    let idle = server.send(b"").await;
    let running = server.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.arrived.notified().await;
    server.stop.cancel();
    assert_eq!(until_closed(idle).await, "");
    server.release.notify_one();
    assert!(until_closed(running).await.ends_with("slow"));
    timeout(TIMEOUT, server.task)
        .await
        .expect("the server ends")
        .unwrap();
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_stop_for_ever() {
    let limits = ServerLimits {
        drain_timeout: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let server = server(limits).await;
    let _running = server.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.arrived.notified().await;
    server.stop.cancel();
    timeout(TIMEOUT, server.task)
        .await
        .expect("the server ends")
        .unwrap();
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_soon_although_idle_ones_are_kept_longer() {
    let limits = ServerLimits {
        handshake_timeout: Duration::from_millis(200),
        head_timeout: Duration::from_secs(3600),
        ..ServerLimits::default()
    };
    let server = server(limits).await;
    let idle = server.send(b"").await;
    let half = server.send(b"GET / HTT").await;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut kept = server.send(request).await;
    for stream in [idle, half] {
        assert_eq!(until_closed(stream).await, "");
    }
    // Later than the bound of the other two.
    kept.write_all(request).await.unwrap();
    let mut answers = String::new();
    while answers.matches("hello").count() < 2 {
        let mut buffer = [0; 1024];
        let length = timeout(TIMEOUT, kept.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert!(length > 0, "closed: {answers}");
        answers.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
}

#[tokio::test]
async fn the_connection_that_is_idle_longest_makes_room_for_a_client_with_a_request() {
    let limits = ServerLimits {
        connections: 4,
        ..ServerLimits::default()
    };
    let server = server(limits).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(server.send(b"").await);
    }
    assert!(
        until_closed(server.send(CLOSING).await)
            .await
            .ends_with("hello")
    );
    assert_eq!(until_closed(idle.remove(0)).await, "");
}

#[tokio::test]
async fn wrong_tokens_keep_out_no_client_of_the_same_address() {
    let server = server(ServerLimits::default()).await;
    let mut wrong = Vec::new();
    for _ in 0..300 {
        wrong.push(server.show("fedcba9876543210").await);
    }
    for _ in 0..10 {
        let answer = until_closed(server.show(TOKEN).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = until_closed(server.send(CLOSING).await).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }
    // Those that made room were answered and not cut.
    for stream in wrong {
        let answer = until_closed(stream).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
}
