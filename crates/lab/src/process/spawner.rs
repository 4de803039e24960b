//! The one thread that starts every program.
//!
//! Linux sends a child its parent-death signal when the *thread* that forked it ends, not the
//! process. Test threads and runtime workers come and go, so all programs are forked by a thread
//! that lives as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

struct Request {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

static SPAWNER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();

/// Starts `command` from the long-lived thread.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = channel();
    let sender = SPAWNER.get_or_init(|| Mutex::new(start_thread()));
    sender
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(Request { command, reply })
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn start_thread() -> Sender<Request> {
    let (sender, requests) = channel();
    std::thread::spawn(move || serve(&requests));
    sender
}

fn serve(requests: &Receiver<Request>) {
    while let Ok(mut request) = requests.recv() {
        let child = request.command.spawn();
        // The caller may have been dropped meanwhile; then nothing owns the child.
        if let Err(unclaimed) = request.reply.send(child)
            && let Ok(mut child) = unclaimed.0
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts programs has ended")
}
