//! Sidecar that applies certificates to one HAProxy through its Runtime API.

fn main() {}
