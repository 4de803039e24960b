//! A proxy in front of a server: passes every connection on, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::LabError;

/// A running proxy. Dropping it closes its connections.
#[derive(Debug)]
pub struct TcpProxy {
    received: Received,
    _task: JoinSet<()>,
}

/// The bytes that clients have sent; those of several connections may be mixed.
type Received = Arc<Mutex<Vec<u8>>>;

impl TcpProxy {
    /// Accepts at `address`, and passes on to `server`.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound.
    pub async fn start(address: SocketAddr, server: SocketAddr) -> Result<Self, LabError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(LabError::io(format!("bind a proxy at {address}")))?;
        let mut task = JoinSet::new();
        let received = Received::default();
        task.spawn(serve(listener, server, Arc::clone(&received)));
        Ok(Self {
            received,
            _task: task,
        })
    }

    /// Everything that clients have sent so far.
    pub fn received(&self) -> String {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&received).into_owned()
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, received: Received) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        connections.spawn(async move {
            if let Ok(upstream) = TcpStream::connect(server).await {
                let (mut from_server, to_server) = upstream.into_split();
                let (from_client, mut to_client) = client.into_split();
                let down = async {
                    let _ = copy(&mut from_server, &mut to_client).await;
                    let _ = to_client.shutdown().await;
                };
                tokio::join!(pass_up(from_client, to_server, &received), down);
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Passes on what a client sends, and keeps it. Either end may break off: that is the other's to
/// notice.
async fn pass_up(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, received: &Received) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = client.read(&mut bytes).await {
        let sent = &bytes[..count];
        received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(sent);
        if server.write_all(sent).await.is_err() {
            return;
        }
    }
    let _ = server.shutdown().await;
}
