//! The load test of the edge, with a real HAProxy and the agent as separate processes. Many
//! certificates are added by batches, while a client visits a host that is already served. Then
//! HAProxy is killed and started. Then some certificates are replaced. Before it, the same commands
//! go to the bare socket of a HAProxy of their own, for comparison.
//!
//! `script/bench edge` runs it in full and judges its speed; `cargo test` runs it with few
//! certificates and judges only that everything is right.

#![expect(clippy::unwrap_used, reason = "a load test that cannot go on fails")]

mod authority;
mod bare;
mod edge;
mod figures;
mod probe;
mod scenario;

use scenario::Size;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says so when it runs a bench; without it this is a test.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let mut size = if is_bench { Size::FULL } else { Size::SMALL };
    let mut arguments_left = arguments.iter();
    while let Some(argument) = arguments_left.next() {
        let field = match argument.as_str() {
            "--certificates" => &mut size.certificates,
            "--replaced" => &mut size.replaced,
            "--bare" => &mut size.bare,
            // Cargo's own, and those of its test harness, which this is not.
            _ => continue,
        };
        *field = arguments_left
            .next()
            .and_then(|value| value.parse().ok())
            .unwrap_or(*field);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let faults = runtime.block_on(scenario::run(size, is_bench));
    for fault in &faults {
        eprintln!("NOT MET: {fault}");
    }
    assert!(
        faults.is_empty(),
        "{} expectations were not met",
        faults.len()
    );
}
