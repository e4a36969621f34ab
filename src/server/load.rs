//! How much a worker has to do: how many requests it is at, and how late it is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::transport::body::Guard;

/// A worker that comes to its tasks so much later than it meant to has more to do than it can.
const LATE: Duration = Duration::from_secs(1);

/// Whether there is room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strain {
    /// For everything.
    None,
    /// The last quarter of the room is in use, or the worker is late: what can wait should.
    High,
    /// For nothing.
    Full,
}

/// What one worker has to do. It is the worker's own and never leaves its thread.
#[derive(Debug)]
pub struct Load {
    most: usize,
    requests: Cell<usize>,
    late: Cell<bool>,
}

impl Load {
    /// Nothing yet; `most` is how many requests may be answered at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            requests: Cell::new(0),
            late: Cell::new(false),
        }
    }

    /// Whether there is room, the request that asks being counted already.
    #[must_use]
    pub fn strain(&self) -> Strain {
        let requests = self.requests.get();
        if requests > self.most {
            Strain::Full
        } else if self.late.get() || requests > self.most - self.most / 4 {
            Strain::High
        } else {
            Strain::None
        }
    }

    /// One request more, until the guard is dropped.
    pub(super) fn one_more(self: &Rc<Self>) -> Counted {
        self.requests.set(self.requests.get().saturating_add(1));
        Counted(Rc::clone(self))
    }

    /// How late the sweep came, which has the worker's turn like any other task.
    pub(super) fn came_late(&self, by: Duration) {
        self.late.set(by >= LATE);
    }
}

/// A request in a worker's load.
#[derive(Debug)]
pub(super) struct Counted(Rc<Load>);

impl Guard for Counted {}

impl Drop for Counted {
    fn drop(&mut self) {
        let requests = &self.0.requests;
        requests.set(requests.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Q3: the last quarter is kept for those who are in, and nothing exceeds the whole.
    #[test]
    fn strain_rises_with_the_last_quarter_and_falls_again() {
        for (most, free, high) in [(1, 1, 0), (2, 2, 0), (4, 3, 1), (8, 6, 2), (1000, 750, 250)] {
            let load = Rc::new(Load::new(most));
            let mut taken = Vec::new();
            for at in 1..=most + 1 {
                taken.push(load.one_more());
                let wanted = match at {
                    _ if at <= free => Strain::None,
                    _ if at <= free + high => Strain::High,
                    _ => Strain::Full,
                };
                assert_eq!(load.strain(), wanted, "{at} of {most}");
            }
            taken.clear();
            assert_eq!(load.strain(), Strain::None);
        }
    }

    // Q3: a worker that is behind sheds what can wait until it has caught up.
    #[test]
    fn a_late_worker_is_strained_until_it_is_on_time() {
        let load = Load::new(100);
        load.came_late(Duration::from_millis(999));
        assert_eq!(load.strain(), Strain::None);
        load.came_late(Duration::from_secs(1));
        assert_eq!(load.strain(), Strain::High);
        load.came_late(Duration::ZERO);
        assert_eq!(load.strain(), Strain::None);
    }
}
