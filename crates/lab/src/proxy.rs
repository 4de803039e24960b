//! A proxy in front of a server: passes every connection on, byte by byte.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::LabError;

/// A running proxy. Dropping it closes its connections.
#[derive(Debug)]
pub struct TcpProxy {
    _task: JoinSet<()>,
}

impl TcpProxy {
    /// Accepts at `address`, and passes on to `server`.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound.
    pub async fn start(address: SocketAddr, server: SocketAddr) -> Result<Self, LabError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(LabError::io(format!("bind a proxy at {address}")))?;
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server));
        Ok(Self { _task: task })
    }
}

async fn serve(listener: TcpListener, server: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut upstream) = TcpStream::connect(server).await {
                // Either end may break off: that is the other's to notice.
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
