//! The limits and protections of this process.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Listeners take together at most a third of the file descriptors, and a process of ours has at
/// most three of them.
const LISTENER_SHARE: u64 = 3 * 3;
/// A process with fewer file descriptors than this serves at least a few connections.
const FEWEST_CONNECTIONS: usize = 8;

/// Raises the limit of open files to what the system allows this process, and returns it. `None`
/// means that there is no limit.
///
/// # Errors
/// When the system refuses; the limit stays as it was.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(limit.maximum)
}

/// Keeps the memory of this process, and the keys in it, from other processes of the same user and
/// out of core dumps.
///
/// # Errors
/// When the system refuses.
pub fn hide_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// The connections that one listener may hold: a ninth of the file descriptors.
pub fn descriptors_of_a_listener() -> usize {
    share(getrlimit(Resource::Nofile).current)
}

fn share(limit: Option<u64>) -> usize {
    let Some(limit) = limit else {
        return usize::MAX;
    };
    let share = usize::try_from(limit / LISTENER_SHARE).unwrap_or(usize::MAX);
    share.max(FEWEST_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_listeners_take_at_most_a_third_of_the_descriptors() {
        for limit in [100, 1024, 65_536, 1_048_576] {
            assert!(3 * share(Some(limit)) as u64 <= limit / 3, "{limit}");
        }
        assert_eq!(share(Some(10)), FEWEST_CONNECTIONS);
        assert_eq!(share(None), usize::MAX);
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let raised = raise_descriptor_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
    }
}
