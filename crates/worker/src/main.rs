//! The dps binary: configuration, wiring, HTTP, command line.

fn main() {}
