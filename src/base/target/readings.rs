//! The closure of a path under the steps: everything it can be read as.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Malformed;
use super::scan::Marks;
use super::steps::{FOLDING, PLAIN, Step};

/// The most readings a path may have, the path as received included.
pub const MAX_READINGS: usize = 256;

/// The most bytes all readings of a path may have together, the path as received included. Three
/// times what a target may be long; with it, the worst path costs a few milliseconds.
pub const MAX_READING_BYTES: usize = 96 * 1024;

/// The readings found so far, in the order in which they were found.
pub(super) struct Readings<'a> {
    received: &'a [u8],
    others: Vec<Found>,
    total_bytes: usize,
    unfolded: usize,
}

struct Found {
    bytes: Box<[u8]>,
    /// Tells most different readings apart without comparing them. Not a defence: who makes two
    /// hashes meet has gained a comparison.
    hash: u64,
}

impl<'a> Readings<'a> {
    /// All readings of `received`, whose marks are `marks`.
    ///
    /// First those that arise without folding the case, then the others. Each reading is looked at
    /// once, so the work is bounded by what the two limits let in, times the number of steps.
    pub(super) fn of(received: &'a [u8], marks: Marks) -> Result<Self, Malformed> {
        let mut readings = Self {
            received,
            others: Vec::new(),
            total_bytes: received.len(),
            unfolded: 0,
        };
        let mut next = 0;
        while let Some(reading) = readings.at(next) {
            let marks = if next == 0 {
                marks
            } else {
                Marks::of_path(reading)
            };
            readings.apply(&PLAIN, next, marks)?;
            next += 1;
        }
        readings.unfolded = readings.others.len();
        let mut next = 0;
        while let Some(reading) = readings.at(next) {
            let marks = Marks::of_path(reading);
            readings.apply(&FOLDING, next, marks)?;
            if next > readings.unfolded {
                readings.apply(&PLAIN, next, marks)?;
            }
            next += 1;
        }
        Ok(readings)
    }

    /// The readings besides the received path, and how many of them arise without folding.
    pub(super) fn into_others(self) -> (Vec<Box<[u8]>>, usize) {
        let others = self.others.into_iter().map(|found| found.bytes).collect();
        (others, self.unfolded)
    }

    fn at(&self, index: usize) -> Option<&[u8]> {
        match index.checked_sub(1) {
            None => Some(self.received),
            Some(index) => self.others.get(index).map(|found| &*found.bytes),
        }
    }

    /// Applies to the reading at `index` those of `steps` that could change it.
    fn apply(&mut self, steps: &[Step], index: usize, marks: Marks) -> Result<(), Malformed> {
        for step in steps {
            if step.concerns.meet(marks)
                && let Some(reading) = self.at(index)
            {
                let result = (step.apply)(reading);
                self.keep(result)?;
            }
        }
        Ok(())
    }

    /// Keeps `reading` if it is new.
    fn keep(&mut self, reading: Vec<u8>) -> Result<(), Malformed> {
        if reading == self.received {
            return Ok(());
        }
        let mut hasher = DefaultHasher::new();
        reading.hash(&mut hasher);
        let hash = hasher.finish();
        if self
            .others
            .iter()
            .any(|found| found.hash == hash && *found.bytes == *reading)
        {
            return Ok(());
        }
        if reading.contains(&0) {
            return Err(Malformed::Nul);
        }
        self.total_bytes = self.total_bytes.saturating_add(reading.len());
        // The received path is one of them.
        if self.total_bytes > MAX_READING_BYTES || self.others.len() + 1 >= MAX_READINGS {
            return Err(Malformed::TooManyReadings);
        }
        self.others.push(Found {
            bytes: reading.into(),
            hash,
        });
        Ok(())
    }
}
