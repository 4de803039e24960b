//! A stranger's web server: answers in our place, answers nonsense, or does not answer at all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::LabError;

/// Longest request head read.
const MAX_HEAD: usize = 16 * 1024;
/// Longest request body read.
const MAX_BODY: usize = 64 * 1024;
/// How long a client may take to send its request.
const HEAD_BOUND: Duration = Duration::from_secs(10);
/// One piece of an endless body.
const PIECE: [u8; 4096] = [b'x'; 4096];

/// The server's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A complete response.
    Content {
        /// The status code.
        status: u16,
        /// The body, sent as plain text.
        body: String,
    },
    /// A response without a body, with one more header.
    Header {
        /// The status code.
        status: u16,
        /// The name of the header.
        name: &'static str,
        /// Its value, sent as it stands.
        value: &'static str,
    },
    /// A redirect with no body.
    Redirect {
        /// The status code, such as 302.
        status: u16,
        /// The new place, sent as it stands.
        location: String,
    },
    /// Reads the request and does not answer.
    Unanswered,
    /// Closes the connection before reading anything.
    Close,
    /// A response of status 200 whose body does not end.
    Endless,
}

/// A request that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The request line's path and query.
    pub path: String,
    /// The `Host` field.
    pub host: String,
    /// The request line and the fields, as they were sent.
    pub head: String,
    /// The body, as long as `Content-Length` says.
    pub body: String,
}

#[derive(Debug)]
struct State {
    default: Answer,
    paths: HashMap<String, Answer>,
    received: Vec<Received>,
}

/// A running plain HTTP server. Dropping it closes its connections.
#[derive(Debug)]
pub struct WebServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

impl WebServer {
    /// Listens at `address` (port 0 for any) and answers every request with `answer`.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound.
    pub async fn start(address: SocketAddr, answer: Answer) -> Result<Self, LabError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(LabError::io(format!("bind a web server at {address}")))?;
        let address = listener
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?;
        let state = State {
            default: answer,
            paths: HashMap::new(),
            received: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let mut task = JoinSet::new();
        task.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _task: task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the answer to requests without one of their own.
    pub fn set_answer(&self, answer: Answer) {
        lock(&self.state).default = answer;
    }

    /// Gives one path an answer of its own.
    pub fn set_path(&self, path: &str, answer: Answer) {
        lock(&self.state).paths.insert(path.to_owned(), answer);
    }

    /// Every request read so far, oldest first.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut clients = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let state = Arc::clone(&state);
        clients.spawn(async move {
            // A client that goes away, even in the middle, is no concern of the server.
            let _ = answer(client, &state).await;
        });
        while clients.try_join_next().is_some() {}
    }
}

async fn answer(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    if lock(state).default == Answer::Close {
        return Ok(());
    }
    let Ok(Some(received)) = tokio::time::timeout(HEAD_BOUND, receive(&mut client)).await else {
        return Ok(());
    };
    let answer = {
        let mut state = lock(state);
        let answer = state
            .paths
            .get(&received.path)
            .unwrap_or(&state.default)
            .clone();
        state.received.push(received);
        answer
    };
    match answer {
        Answer::Close => Ok(()),
        Answer::Unanswered => wait_for_the_end(&mut client).await,
        Answer::Content { status, body } => {
            let head = format!(
                "content-type: text/plain\r\ncontent-length: {}\r\n",
                body.len()
            );
            write_response(&mut client, status, &head, &body).await
        }
        Answer::Header {
            status,
            name,
            value,
        } => {
            let head = format!("{name}: {value}\r\ncontent-length: 0\r\n");
            write_response(&mut client, status, &head, "").await
        }
        Answer::Redirect { status, location } => {
            let head = format!("location: {location}\r\ncontent-length: 0\r\n");
            write_response(&mut client, status, &head, "").await
        }
        Answer::Endless => {
            write_response(&mut client, 200, "content-type: text/plain\r\n", "").await?;
            loop {
                client.write_all(&PIECE).await?;
            }
        }
    }
}

async fn write_response(
    client: &mut TcpStream,
    status: u16,
    head: &str,
    body: &str,
) -> std::io::Result<()> {
    let response = format!("HTTP/1.1 {status} Lab\r\nconnection: close\r\n{head}\r\n{body}");
    client.write_all(response.as_bytes()).await
}

async fn receive(client: &mut TcpStream) -> Option<Received> {
    let (head, body) = read_request(client, MAX_BODY).await?;
    Some(Received {
        path: head.split(' ').nth(1)?.to_owned(),
        host: header(&head, "host").unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
        head,
    })
}

/// Reads a request; returns its head, and its body as long as `Content-Length` says, up to
/// `max_body` bytes.
pub(crate) async fn read_request(
    client: &mut TcpStream,
    max_body: usize,
) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut read).await.ok()? == 0 || read.len() > MAX_HEAD {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let length = header(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
    let whole = end + length.unwrap_or(0).min(max_body);
    while read.len() < whole {
        if client.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, read[end..whole].to_vec()))
}

/// The value of a field in the head of a request.
pub(crate) fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

async fn wait_for_the_end(client: &mut TcpStream) -> std::io::Result<()> {
    let mut unread = [0; 256];
    while client.read(&mut unread).await? > 0 {}
    Ok(())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
