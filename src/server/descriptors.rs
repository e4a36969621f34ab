//! How many descriptors the process may open, and so how many connections it may take: one that
//! finds none left for its upstream is answered worse than one that was told at once to come again.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is kept for everything but requests, at most: providers, probes, files, the log.
const KEPT: u64 = 256;

/// Raises the soft limit to the hard one, which the process may do without privilege.
pub fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(reason = %error, "the limit of descriptors stays as it was");
    }
}

/// For how many connections the descriptors suffice, each with one to an upstream; nothing where
/// there is no limit.
#[must_use]
pub fn connections() -> Option<usize> {
    getrlimit(Resource::Nofile).current.map(room)
}

fn room(descriptors: u64) -> usize {
    let kept = KEPT.min(descriptors / 3);
    usize::try_from((descriptors - kept) / 2)
        .unwrap_or(usize::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn each_connection_has_room_for_two_descriptors() {
        for (descriptors, connections) in [(0, 1), (100, 33), (1024, 384), (1_048_576, 524_160)] {
            assert_eq!(room(descriptors), connections);
        }
    }
}
