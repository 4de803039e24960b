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
#[derive(Debug, Clone)]
pub(super) struct LocalFaults {
    last: Arc<Mutex<Option<(Instant, String)>>>,
    /// The longest time of one query.
    query: Duration,
}

impl LocalFaults {
    pub(super) fn new(query: Duration) -> Self {
        Self {
            last: Arc::default(),
            query,
        }
    }

    /// The last fault, if it may be why a query that began at `begin` got no answer.
    // Equal queries share one packet. So the socket may have failed before this query began, but
    // not earlier than the longest time of the query that sent the packet.
    pub(super) fn since(&self, begin: Instant) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(at, _)| *at + self.query >= begin)
            .map(|(_, detail)| detail.clone())
    }

    fn note(&self, error: &io::Error) {
        if let Some(detail) = local_fault(error) {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((Instant::now(), detail));
        }
    }
}

/// Opens sockets for the resolver library.
#[derive(Clone)]
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

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fault_explains_the_queries_that_may_share_its_packet_and_no_later_ones() {
        let query = Duration::from_secs(6);
        let faults = LocalFaults::new(query);
        let before = Instant::now();
        assert_eq!(faults.since(before), None);
        faults.note(&io::Error::from_raw_os_error(
            Errno::CONNREFUSED.raw_os_error(),
        ));
        assert_eq!(faults.since(before), None, "a fault of the other side");
        faults.note(&io::Error::from_raw_os_error(Errno::MFILE.raw_os_error()));
        assert!(faults.since(before).is_some());
        tokio::time::advance(query).await;
        assert!(faults.since(Instant::now()).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(faults.since(Instant::now()), None);
    }
}
