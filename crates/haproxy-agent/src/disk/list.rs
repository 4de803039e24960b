//! The crt-list's file: compared, replaced, and watched for loads of HAProxy ([`super::loads`]).

use std::fs::{self, File, Metadata};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::time::Instant;

use super::loads::{LoadState, Loads, Watch};
use super::write::{discard_path, sync_folder, write_synced};
use super::{Disk, DiskError, during};
use crate::crash_point::{self, Effect};
use crate::random;
use crate::runtime_api::Process;

/// The crt-list's file as we know it.
#[derive(Debug)]
pub(super) struct ListFile(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// Absent if the system has no watches left for us.
    inotify: Option<OwnedFd>,
    /// The file that we wrote, kept open: reading it through this causes no event.
    file: Option<File>,
    is_watched: bool,
    loads: Loads,
}

impl ListFile {
    pub(super) fn new() -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let inotify = inotify.map_err(warn_unwatched).ok();
        Self(Mutex::new(Known {
            inotify,
            file: None,
            is_watched: false,
            loads: Loads::default(),
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_unwatched(errno: Errno) {
    tracing::warn!(
        error = %errno,
        remedy = "raise fs.inotify.max_user_instances and max_user_watches", "crt_list.watch_failed"
    );
}

impl Known {
    /// Watches a file; says once if that fails.
    fn watch(&mut self, path: &Path) -> Option<Watch> {
        let inotify = self.inotify.as_ref()?;
        let events = WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE | WatchFlags::DELETE_SELF;
        let watch = inotify::add_watch(inotify, path, events);
        if let Err(errno) = watch
            && (self.is_watched || self.file.is_none())
        {
            warn_unwatched(errno);
        }
        watch.ok()
    }

    fn remove_watch(&self, watch: Watch) {
        if let Some(inotify) = &self.inotify {
            // It is gone with its file otherwise.
            inotify::remove_watch(inotify, watch).ok();
        }
    }

    /// Reads the events that have come so far.
    fn read_events(&mut self, now: Instant) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    let (watch, what) = (event.wd(), event.events());
                    if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                        self.loads.lost_events(now);
                    }
                    if what.contains(ReadFlags::OPEN) {
                        self.loads.opened(watch, now);
                    }
                    if what.contains(ReadFlags::CLOSE_NOWRITE) {
                        self.loads.closed(watch, now);
                    }
                    if what.intersects(
                        ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED,
                    ) {
                        self.loads.deleted(watch);
                    }
                }
                Err(Errno::INTR) => {}
                // Nothing more has happened.
                Err(_) => return,
            }
        }
    }

    fn is_ours(&self, present: &Metadata) -> bool {
        let about = self.file.as_ref().and_then(|file| file.metadata().ok());
        about.is_some_and(|ours| (ours.dev(), ours.ino()) == (present.dev(), present.ino()))
    }

    /// The content of the list, if it has this length.
    fn read(&self, path: &Path, length: usize) -> Option<Vec<u8>> {
        let present = fs::metadata(path).ok()?;
        if present.len() != length as u64 {
            return None;
        }
        let Some(ours) = self.file.as_ref().filter(|_| self.is_ours(&present)) else {
            return fs::read(path).ok();
        };
        let mut content = vec![0; length];
        ours.read_exact_at(&mut content, 0).ok()?;
        Some(content)
    }

    /// Watches the file that an agent before us, or another process, left at the path.
    fn adopt(&mut self, path: &Path) {
        let Ok(present) = File::open(path) else {
            return;
        };
        if let Some(watch) = self.watch(path) {
            self.loads.adopt(watch);
            self.is_watched = true;
        }
        self.file = Some(present);
    }
}

impl Disk {
    /// Whether the crt-list is this one.
    pub(crate) fn has_list(&self, text: &str) -> bool {
        let present = self
            .file
            .known()
            .read(Path::new(self.list.as_str()), text.len());
        present.is_some_and(|present| present == text.as_bytes())
    }

    /// Replaces the crt-list if it is another one.
    pub(crate) fn write_list(&self, text: &str) -> Result<(), DiskError> {
        if !self.has_list(text) {
            return self.replace_list(text);
        }
        let path = Path::new(self.list.as_str());
        let mut known = self.file.known();
        if !fs::metadata(path).is_ok_and(|present| known.is_ours(&present)) {
            known.adopt(path);
        }
        Ok(())
    }

    /// Writes the list as well if a load may have begun since it was written. A load from now on
    /// finds everything that was published before this call.
    pub(crate) fn renew_list(&self, text: &str) -> Result<(), DiskError> {
        if self.is_list_opened() {
            return self.replace_list(text);
        }
        self.write_list(text)
    }

    /// Whether a load may have begun since the crt-list was written.
    pub(crate) fn is_list_opened(&self) -> bool {
        let mut known = self.file.known();
        known.read_events(Instant::now());
        known.loads.is_opened()
    }

    fn replace_list(&self, text: &str) -> Result<(), DiskError> {
        let to = Path::new(self.list.as_str());
        let from = self.root.join("staging").join(random::name());
        crash_point::before(Effect::ListWrite);
        let file = write_synced(&from, text.as_bytes()).map_err(during("write", &from))?;
        {
            let mut known = self.file.known();
            // Before it can be opened.
            let watch = known.watch(&from);
            if fs::metadata(to).is_ok_and(|present| !known.is_ours(&present))
                && let Some(strange) = known.watch(to)
            {
                known.loads.adopt(strange);
            }
            if let Err(error) = fs::rename(&from, to) {
                if let Some(watch) = watch {
                    known.remove_watch(watch);
                }
                discard_path(&from);
                return Err(during("replace", to)(error));
            }
            known.loads.replace(watch, Instant::now());
            known.is_watched = watch.is_some();
            // The kernel reports the file before as deleted once no process has it open, us
            // included.
            known.file = Some(file);
        }
        sync_folder(&self.root)?;
        crash_point::after(Effect::ListWrite);
        Ok(())
    }

    /// Reads what happened to the crt-list. Does not block.
    pub(crate) fn observe_loads(&self, certificates: usize) {
        let now = Instant::now();
        let mut known = self.file.known();
        known.read_events(now);
        for (watch, was_opened) in known.loads.forget_overdue(certificates, now) {
            known.remove_watch(watch);
            if was_opened {
                tracing::warn!("crt_list.held_open");
            }
        }
    }

    /// Notes which process serves. Call [`Self::observe_loads`] before the query to HAProxy.
    pub(crate) fn observe_process(&self, process: &Process) {
        self.file.known().loads.observed(process);
    }

    /// Notes that no process listens on HAProxy's socket. Call [`Self::observe_loads`] before the
    /// query to HAProxy.
    pub(crate) fn observe_refusal(&self) {
        self.file.known().loads.refused();
    }

    /// How far the loads are that began before the crt-list was last written.
    pub(crate) fn load_state(&self, grace: Duration, certificates: usize) -> LoadState {
        self.file
            .known()
            .loads
            .state(grace, certificates, Instant::now())
    }

    /// Whether loads are seen.
    pub(crate) fn is_list_watched(&self) -> bool {
        self.file.known().is_watched
    }
}
