//! Memory that nobody uses any more goes back to the system.
//!
//! glibc keeps what is freed between two pieces that are not, so a process stays as large as it was
//! at its busiest: 9,000 connections that closed went on costing 25 KiB each. It gives everything
//! back when it is asked to, which costs a walk over the heap; so that is asked for after many
//! connections came to rest or ended, and the less often the longer it takes.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

/// So many connections must have freed what they had: with fewer it is not worth a walk.
const WORTH_A_WALK: usize = 256;
/// So many, where there was a walk lately: the last of a crowd go after it.
const WORTH_ANOTHER: usize = 16;
/// How many seconds are lately.
const LATELY: u32 = 3;
/// After a walk there is none for so many times as long as it took, since it holds up whoever needs
/// memory meanwhile; and none for a second.
const PAUSE: u32 = 50;

/// How many connections have freed what they had since the last walk, in the whole process, as the
/// heap is the process's.
static FREED: AtomicUsize = AtomicUsize::new(0);
/// The second from which the next walk may be.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A connection has freed what it had.
pub(super) fn freed() {
    FREED.fetch_add(1, Ordering::Relaxed);
}

/// Called by each worker's sweep, with the second it is, which is nearly the same for all of them:
/// gives memory back, on a thread of its own, if it is time and worth it.
pub(super) fn give_back(second: u32) {
    let next = NEXT.load(Ordering::Relaxed);
    let worth = if next > 0 && second < next.saturating_add(LATELY) {
        WORTH_ANOTHER
    } else {
        WORTH_A_WALK
    };
    if second < next || FREED.load(Ordering::Relaxed) < worth {
        return;
    }
    if FREED.swap(0, Ordering::Relaxed) >= worth {
        NEXT.store(second.saturating_add(1), Ordering::Relaxed);
        // Without a thread there is a next time.
        drop(
            std::thread::Builder::new()
                .name("heap".into())
                .spawn(move || {
                    let begun = Instant::now();
                    trim();
                    let pause = begun.elapsed().saturating_mul(PAUSE).as_secs();
                    let pause = u32::try_from(pause).unwrap_or(u32::MAX);
                    let next = second.saturating_add(1).saturating_add(pause);
                    NEXT.store(next, Ordering::Relaxed);
                }),
        );
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
