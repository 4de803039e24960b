//! The resolver's sockets, watched for faults of our own machine: the resolver library reports only
//! that no connection came about.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::local_fault::local_fault;

/// The last fault of our own machine at the sockets of one resolver.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalFaults(Arc<Mutex<Option<(Instant, String)>>>);

impl LocalFaults {
    /// The last one, if it happened since `begin`.
    pub(super) fn since(&self, begin: Instant) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(at, _)| *at >= begin)
            .map(|(_, detail)| detail.clone())
    }

    fn note(&self, error: &io::Error) {
        if let Some(detail) = local_fault(error) {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((Instant::now(), detail));
        }
    }
}

/// Opens sockets for the resolver library.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    tokio: TokioRuntimeProvider,
    faults: LocalFaults,
}

impl Sockets {
    pub(super) fn noting(faults: LocalFaults) -> Self {
        Self {
            tokio: TokioRuntimeProvider::new(),
            faults,
        }
    }
}

type Opened<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = WatchedSocket;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Opened<Self::Tcp> {
        let connecting = self.tokio.connect_tcp(server, local, timeout);
        let faults = self.faults.clone();
        Box::pin(async move { connecting.await.inspect_err(|error| faults.note(error)) })
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Opened<Self::Udp> {
        let binding = self.tokio.bind_udp(local, server);
        let faults = self.faults.clone();
        Box::pin(async move {
            match binding.await {
                Ok(socket) => Ok(WatchedSocket { socket, faults }),
                Err(error) => {
                    // Ports below 1024 or in use are tried at random and passed over; they are
                    // nothing to note.
                    let is_retried = matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse
                    );
                    if !is_retried {
                        faults.note(&error);
                    }
                    Err(error)
                }
            }
        })
    }
}

/// A UDP socket of the resolver.
pub(super) struct WatchedSocket {
    socket: UdpSocket,
    faults: LocalFaults,
}

impl DnsUdpSocket for WatchedSocket {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        DnsUdpSocket::poll_recv_from(&self.socket, cx, buffer)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        packet: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let sent = UdpSocket::poll_send_to(&self.socket, cx, packet, to);
        if let Poll::Ready(Err(error)) = &sent {
            self.faults.note(error);
        }
        sent
    }
}
