//! Memory that nobody uses any more goes back to the system.
//!
//! glibc keeps what is freed between two pieces that are not, so a process stays as large as it was
//! at its busiest: 9,000 connections that closed went on costing 25 KiB each. It gives everything
//! back when it is asked to, which costs a walk over the heap; so that is asked for after many
//! connections came to rest or ended, and not often.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many connections must have freed what they had: with fewer it is not worth a walk.
const WORTH_A_WALK: usize = 256;
/// At most once in so many seconds.
const EVERY: u32 = 5;

/// How many connections have freed what they had since the last walk, in the whole process, as the
/// heap is the process's.
static FREED: AtomicUsize = AtomicUsize::new(0);

/// A connection has freed what it had.
pub(super) fn freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Called by each worker's sweep, with the second it is: gives memory back, on a thread of its own,
/// if it is time and worth it.
pub(super) fn give_back(second: u32) {
    if !second.is_multiple_of(EVERY) || FREED.load(Ordering::Relaxed) < WORTH_A_WALK {
        return;
    }
    if FREED.swap(0, Ordering::Relaxed) >= WORTH_A_WALK {
        // Without a thread there is a next time.
        drop(std::thread::Builder::new().name("heap".into()).spawn(trim));
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc has no other way to be asked")]
fn trim() {
    // SAFETY: malloc_trim(3) takes a number, may be called from any thread at any time, and touches
    // free memory alone.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}
