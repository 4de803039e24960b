//! A flood of TCP connections that say nothing, as an attacker without any credentials opens them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{LabError, wait};

/// Connections from one address that say nothing, each opened again when it is closed.
#[derive(Debug)]
pub struct Flood {
    closed: Arc<AtomicUsize>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Flood {
    /// Opens so many connections.
    pub fn start(from: Ipv4Addr, to: SocketAddr, connections: usize) -> Self {
        let flood = Self {
            closed: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        for _ in 0..connections {
            let (closed, stop) = (Arc::clone(&flood.closed), flood.stop.clone());
            flood.tasks.spawn(async move {
                let again_and_again = async {
                    loop {
                        if let Ok(mut stream) = connect(from, to).await {
                            let _ = stream.read_u8().await;
                        }
                        closed.fetch_add(1, Ordering::Relaxed);
                        // A client that is refused at once must not keep its thread to itself.
                        tokio::task::yield_now().await;
                    }
                };
                stop.run_until_cancelled(again_and_again).await;
            });
        }
        flood
    }

    /// Waits until the server has closed so many more connections, each of which was opened again.
    ///
    /// # Errors
    /// [`LabError::TimedOut`] when it did not within `bound`.
    pub async fn keeps_running(&self, connections: usize, bound: Duration) -> Result<(), LabError> {
        let wanted = self.closed.load(Ordering::Relaxed) + connections;
        let reached = async || (self.closed.load(Ordering::Relaxed) >= wanted).then_some(());
        wait::until("the server closes idle connections", bound, reached).await
    }

    /// Closes all connections.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Connects from this address of the loopback network.
async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

/// The whole answer to `GET path` of a client at this address, or why there is none within `bound`.
///
/// # Errors
/// A sentence about what went wrong.
pub async fn get_from(
    from: Ipv4Addr,
    to: SocketAddr,
    path: &str,
    token: &str,
    bound: Duration,
) -> Result<String, String> {
    let exchange = async {
        let mut stream = connect(from, to).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout(bound, exchange).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {bound:?}")),
    }
}
