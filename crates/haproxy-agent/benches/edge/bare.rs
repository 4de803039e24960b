//! The same commands straight to the socket, without an agent: what HAProxy itself can do on this machine at this moment.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use dps_agent_api::ApplyRequest;
use secrecy::ExposeSecret;

use crate::edge::{PATIENCE, free_address, start_haproxy};
use crate::figures::Progress;

/// Adds the certificates to an empty HAProxy of its own.
pub(crate) async fn add_all(requests: &[ApplyRequest]) -> Progress {
    let folder = tempfile::Builder::new().prefix("edge-bare-").tempdir().unwrap();
    let list = folder.path().join("crt-list.txt").display().to_string();
    std::fs::write(&list, "").unwrap();
    let https = free_address();
    let mut haproxy = start_haproxy(&folder, https, &list);
    haproxy.wait_for_port(https, PATIENCE).await.unwrap();
    let socket = UnixStream::connect(folder.path().join("haproxy.sock")).unwrap();
    let mut progress = Progress::start();
    std::thread::scope(|scope| {
        let mut writer = socket.try_clone().unwrap();
        let list = &list;
        scope.spawn(move || {
            writer.write_all(b"prompt\n").unwrap();
            for request in requests {
                writer.write_all(commands(list, request).as_bytes()).unwrap();
            }
        });
        count_served(socket, requests.len(), &mut progress);
    });
    progress
}

fn commands(list: &str, request: &ApplyRequest) -> String {
    let (name, chain) = (format!("/bare/{}.pem", request.hostname), &request.chain_pem);
    let (key, sni) = (request.private_key_pem.expose_secret(), &request.hostname);
    let mut text = String::with_capacity(chain.len() + 1024);
    write!(
        text,
        "new ssl cert {name}\nset ssl cert {name} <<\n{chain}{key}\ncommit ssl cert {name}\nabort ssl cert {name}\n\
         add ssl crt-list {list} <<\n{name} {sni}\n\nshow ssl cert {name}\n"
    )
    .unwrap();
    text
}

/// Reads until so many certificates were shown as used.
fn count_served(mut socket: UnixStream, wanted: usize, progress: &mut Progress) {
    const SHOWN: &[u8] = b"\nStatus: Used\n";
    let (mut received, mut buffer, mut count) = (Vec::new(), vec![0; 65_536], 0);
    while count < wanted {
        let length = socket.read(&mut buffer).unwrap();
        assert!(length > 0, "HAProxy hung up after {count} certificates");
        received.extend_from_slice(&buffer[..length]);
        let mut end = 0;
        for (at, window) in received.windows(SHOWN.len()).enumerate() {
            if window == SHOWN {
                count += 1;
                end = at + 1;
                progress.add(1);
            }
        }
        // Keeps the beginning of a line that is still under way.
        let cut = end.max(received.len().saturating_sub(SHOWN.len()));
        received.drain(..cut);
    }
}
