use std::net::SocketAddr;
use std::time::Duration;

use dps_lab::web::{Answer, WebServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BOUND: Duration = Duration::from_secs(10);

async fn server(answer: Answer) -> WebServer {
    WebServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), answer)
        .await
        .unwrap()
}

/// Sends a request and reads until the end, at most `most` bytes.
async fn get(server: &WebServer, path: &str, most: u64) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // A server that closes at once may refuse even to be written to.
    let _ = stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n\r\n").as_bytes())
        .await;
    let mut reply = Vec::new();
    let _ = tokio::time::timeout(BOUND, stream.take(most).read_to_end(&mut reply))
        .await
        .unwrap();
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn content_and_redirects_are_answered_by_path_and_requests_remembered() {
    let server = server(Answer::Content {
        status: 404,
        body: "nothing".to_owned(),
    })
    .await;
    server.set_path(
        "/moved",
        Answer::Redirect {
            status: 302,
            location: "http://elsewhere.test/".to_owned(),
        },
    );
    let missing = get(&server, "/", 10_000).await;
    assert!(
        missing.starts_with("HTTP/1.1 404 ") && missing.ends_with("\r\n\r\nnothing"),
        "{missing}"
    );
    let moved = get(&server, "/moved", 10_000).await;
    assert!(
        moved.starts_with("HTTP/1.1 302 ")
            && moved.contains("location: http://elsewhere.test/\r\n"),
        "{moved}"
    );
    server.set_answer(Answer::Content {
        status: 200,
        body: String::new(),
    });
    assert!(get(&server, "/", 10_000).await.starts_with("HTTP/1.1 200 "));
    let received = server.received();
    assert_eq!(
        received
            .iter()
            .map(|request| request.path.as_str())
            .collect::<Vec<_>>(),
        ["/", "/moved", "/"]
    );
    assert!(received.iter().all(|request| request.host == "shop.test"));
}

#[tokio::test]
async fn an_endless_body_continues_as_long_as_it_is_read() {
    let server = server(Answer::Endless).await;
    let most = 3_000_000;
    assert_eq!(get(&server, "/", most).await.len() as u64, most);
}

#[tokio::test]
async fn unanswered_reads_the_request_and_close_does_not() {
    let server = server(Answer::Unanswered).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .await
        .unwrap();
    dps_lab::wait::until("the request is taken", BOUND, || {
        std::future::ready((server.received().len() == 1).then_some(()))
    })
    .await
    .unwrap();
    let mut byte = [0];
    assert!(
        tokio::time::timeout(Duration::from_millis(50), stream.read(&mut byte))
            .await
            .is_err()
    );
    server.set_answer(Answer::Close);
    assert_eq!(get(&server, "/", 100).await, "");
    assert_eq!(server.received().len(), 1);
}
