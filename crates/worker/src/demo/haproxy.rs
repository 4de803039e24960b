//! The edge of the demo: the shipped rules, on other ports.

use std::net::SocketAddr;
use std::path::Path;

/// A whole configuration. `state` is the agent's directory, whose crt-list HAProxy loads.
pub(super) fn config(
    socket: &Path,
    state: &Path,
    http: SocketAddr,
    https: SocketAddr,
    agent: SocketAddr,
) -> String {
    format!(
        "global\n    \
             stats socket {socket} mode 600 level admin\n    \
             stats timeout 2m\n    \
             stats maxconn 20\n    \
             ssl-load-extra-files none\n    \
             ssl-default-bind-options ssl-min-ver TLSv1.2\n\
         defaults\n    \
             mode http\n    \
             timeout connect 5s\n    \
             timeout client 30s\n    \
             timeout server 30s\n\
         frontend http\n    \
             bind {http}\n    \
             acl acme path_beg /.well-known/acme-challenge/\n    \
             http-request redirect scheme https code 308 unless acme\n    \
             use_backend acme_agent if acme\n\
         frontend https\n    \
             bind {https} ssl crt-list {list} strict-sni alpn h2,http/1.1\n    \
             http-request return status 200 content-type text/plain lf-string \"Hello from the platform, %[req.hdr(host)]\\n\"\n\
         backend acme_agent\n    \
             timeout server 5s\n    \
             server agent {agent}\n",
        socket = socket.display(),
        list = state.join("crt-list.txt").display(),
    )
}
