//! A client of a host that is there already, at a fixed rate: requests on a kept connection, and
//! every so often a new one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::figures::Latencies;

const PERIOD: Duration = Duration::from_millis(5);
/// Requests on one connection; then the next handshake.
const KEPT: usize = 20;

/// The client's observations.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: Latencies,
    pub(crate) handshakes: Latencies,
    pub(crate) failed: Vec<String>,
}

/// The client at work.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Seen>,
}

impl Probe {
    pub(crate) fn start(address: SocketAddr, host: &str, tls: Arc<ClientConfig>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(work(address, host.to_owned(), tls, Arc::clone(&stop)));
        Self { stop, task }
    }

    pub(crate) async fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn work(
    address: SocketAddr,
    host: String,
    tls: Arc<ClientConfig>,
    stop: Arc<AtomicBool>,
) -> Seen {
    let mut seen = Seen::default();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut connection, mut used) = (None, 0);
    while !stop.load(Ordering::Relaxed) {
        // From when the request was due: a wait that delays the next one counts too.
        let due = ticks.tick().await;
        let mut stream = match connection.take().filter(|_| used < KEPT) {
            Some(stream) => stream,
            None => {
                let begun = Instant::now();
                match connect(address, &host, &tls).await {
                    Ok(stream) => {
                        seen.handshakes.add(begun.elapsed());
                        used = 0;
                        stream
                    }
                    Err(error) => {
                        seen.failed.push(format!("handshake: {error}"));
                        continue;
                    }
                }
            }
        };
        match request(&mut stream, &host).await {
            Ok(()) => {
                // A tick with a handshake is counted there.
                if used > 0 {
                    seen.requests.add(due.elapsed());
                }
                used += 1;
                connection = Some(stream);
            }
            Err(error) => seen.failed.push(format!("request: {error}")),
        }
    }
    seen
}

pub(crate) async fn connect(
    address: SocketAddr,
    host: &str,
    tls: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await
}

async fn request(stream: &mut TlsStream<TcpStream>, host: &str) -> std::io::Result<()> {
    let text = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\nwell") {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    if received.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(std::io::Error::other("not a 200"))
    }
}
