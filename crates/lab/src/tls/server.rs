//! A TLS server that presents one certificate, whatever name is asked for.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::ServerIdentity;
use crate::LabError;

/// A running server. Each connection ends after its handshake. Dropping it stops it.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl TlsServer {
    /// Listens at `address` (port 0 for any) and presents `identity`.
    ///
    /// # Errors
    /// [`LabError::Io`] when the address cannot be bound, [`LabError::Invalid`] when rustls refuses
    /// the identity.
    pub async fn start(address: SocketAddr, identity: &ServerIdentity) -> Result<Self, LabError> {
        let acceptor = TlsAcceptor::from(identity.server_config()?);
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(LabError::io(format!("bind a TLS server at {address}")))?;
        let address = listener
            .local_addr()
            .map_err(LabError::io("read the port of a socket"))?;
        let mut task = JoinSet::new();
        task.spawn(serve(listener, acceptor));
        Ok(Self {
            address,
            _task: task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut clients = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let acceptor = acceptor.clone();
        clients.spawn(async move {
            // A client may close the connection at any time.
            let _ = acceptor.accept(client).await;
        });
        while clients.try_join_next().is_some() {}
    }
}
