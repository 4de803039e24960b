//! Just enough HTTP/1.1, one request per connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fault::{Fault, Reply};

/// Longest request read.
const MAX_REQUEST: usize = 64 * 1024;
/// How long a client may take to send it.
const READ_BOUND: Duration = Duration::from_secs(10);
const PIECE: [u8; 4096] = [b' '; 4096];

/// A request as far as it matters.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) user_agent: String,
    pub(super) body: Vec<u8>,
}

/// Reads one request; `None` when the client sends none that can be read.
pub(super) async fn read(client: &mut TcpStream) -> Option<Request> {
    tokio::time::timeout(READ_BOUND, async {
        let mut bytes = Vec::new();
        loop {
            if let Some(request) = parse(&bytes) {
                return Some(request);
            }
            if client.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > MAX_REQUEST {
                return None;
            }
        }
    })
    .await
    .ok()?
}

fn parse(bytes: &[u8]) -> Option<Request> {
    let head_length = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_length]).ok()?;
    let field = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let length: usize = field("content-length").map_or(Some(0), |text| text.parse().ok())?;
    let body = bytes[head_length + 4..].get(..length)?;
    let mut line = head.lines().next()?.split(' ');
    Some(Request {
        method: line.next()?.to_owned(),
        path: line.next()?.to_owned(),
        user_agent: field("user-agent").unwrap_or_default().to_owned(),
        body: body.to_vec(),
    })
}

/// Answers as the fault wants it.
pub(super) async fn write(
    client: &mut TcpStream,
    request: &Request,
    fault: &Fault,
) -> io::Result<()> {
    match fault {
        Fault::Reply(reply) => {
            let body = if request.method == "HEAD" {
                ""
            } else {
                &reply.body
            };
            client
                .write_all(format!("{}{body}", head(reply)).as_bytes())
                .await
        }
        Fault::CutBody => client.write_all(beginning().as_bytes()).await,
        Fault::SlowBody => {
            client.write_all(beginning().as_bytes()).await?;
            let mut unread = [0; 256];
            while client.read(&mut unread).await? > 0 {}
            Ok(())
        }
        Fault::HugeBody => {
            client
                .write_all(b"HTTP/1.1 200 Lab\r\nConnection: close\r\n\r\n")
                .await?;
            loop {
                client.write_all(&PIECE).await?;
            }
        }
        // The protocol makes a reply of a refused nonce.
        Fault::HangUp | Fault::BadNonce => Ok(()),
    }
}

fn head(reply: &Reply) -> String {
    let mut head = format!(
        "HTTP/1.1 {} Lab\r\nConnection: close\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

/// A response of which most is missing.
fn beginning() -> String {
    "HTTP/1.1 200 Lab\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"status\":"
        .to_owned()
}
