//! Commands straight to the socket, without an agent: what HAProxy itself can do on this machine at
//! this moment.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use dps_agent_api::ApplyRequest;
use secrecy::ExposeSecret;

use crate::edge::{TIMEOUT, free_address, start_haproxy};
use crate::figures::{Progress, processor_time};

/// Which commands are sent for each certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commands {
    /// The same as the agent sends, with `abort` after the `commit` and the reading back.
    AsTheAgent,
    /// Those alone without which nothing is added.
    AddingAlone,
}

impl Commands {
    fn of(self, list: &str, request: &ApplyRequest) -> String {
        let (name, chain) = (
            format!("/bare/{}.pem", request.hostname),
            &request.chain_pem,
        );
        let (key, sni) = (request.private_key_pem.expose_secret(), &request.hostname);
        let (abort, show) = match self {
            Self::AsTheAgent => (
                format!("abort ssl cert {name}\n"),
                format!("show ssl cert {name}\n"),
            ),
            Self::AddingAlone => (String::new(), String::new()),
        };
        let mut text = String::with_capacity(chain.len() + 1024);
        write!(
            text,
            "new ssl cert {name}\nset ssl cert {name} <<\n{chain}{key}\ncommit ssl cert {name}\n{abort}\
             add ssl crt-list {list} <<\n{name} {sni}\n\n{show}"
        )
        .unwrap();
        text
    }

    /// The text that is in the answers once for each added certificate.
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::AsTheAgent => b"\nStatus: Used\n",
            // The end of what `add` answers; `commit` puts no quotation mark there.
            Self::AddingAlone => b"'.\nSuccess!\n",
        }
    }
}

/// Adds the certificates to an empty HAProxy of its own.
pub(crate) async fn add_all(requests: &[ApplyRequest], commands: Commands) -> Progress {
    let folder = tempfile::Builder::new()
        .prefix("edge-bare-")
        .tempdir()
        .unwrap();
    let list = folder.path().join("crt-list.txt").display().to_string();
    std::fs::write(&list, "").unwrap();
    let https = free_address();
    let mut haproxy = start_haproxy(&folder, https, &list);
    // HAProxy listens on its TCP sockets before it does on this one.
    let path = folder.path().join("haproxy.sock");
    haproxy
        .wait_until("its socket accepts", TIMEOUT, || {
            std::future::ready(UnixStream::connect(&path).is_ok())
        })
        .await
        .unwrap();
    let socket = UnixStream::connect(&path).unwrap();
    let mut progress = Progress::start();
    progress.used(processor_time(haproxy.pid()));
    std::thread::scope(|scope| {
        let mut writer = socket.try_clone().unwrap();
        let list = &list;
        scope.spawn(move || {
            writer.write_all(b"prompt\n").unwrap();
            for request in requests {
                writer
                    .write_all(commands.of(list, request).as_bytes())
                    .unwrap();
            }
        });
        count_added(socket, commands.mark(), requests.len(), &mut progress);
    });
    progress.used(processor_time(haproxy.pid()));
    progress
}

/// Reads until so many certificates were added.
fn count_added(mut socket: UnixStream, mark: &[u8], wanted: usize, progress: &mut Progress) {
    let (mut received, mut buffer, mut count) = (Vec::new(), vec![0; 65_536], 0);
    while count < wanted {
        let length = socket.read(&mut buffer).unwrap();
        assert!(length > 0, "HAProxy hung up after {count} certificates");
        received.extend_from_slice(&buffer[..length]);
        let mut end = 0;
        for (at, window) in received.windows(mark.len()).enumerate() {
            if window == mark {
                count += 1;
                end = at + 1;
                progress.add(1);
            }
        }
        // Keeps the beginning of a mark that is still under way.
        let cut = end.max(received.len().saturating_sub(mark.len()));
        received.drain(..cut);
    }
}
