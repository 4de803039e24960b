//! The spans that wait for their delivery.

use std::collections::VecDeque;

/// Spans in the queue at most; one takes about a kilobyte.
pub(crate) const CAPACITY: usize = 4096;

/// A bounded queue that gives up its oldest elements.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: VecDeque<T>,
    /// Elements given up since the last [`Queue::take_lost`].
    lost: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            lost: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Adds the newest element. If the queue is full, the oldest is given up.
    pub(crate) fn push(&mut self, one: T) {
        if self.waiting.len() >= CAPACITY {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(one);
    }

    /// Takes up to `most` of the oldest elements.
    pub(crate) fn take(&mut self, most: usize) -> Vec<T> {
        let count = most.min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// Returns the elements of [`Queue::take`] to their place. The oldest are given up if newer
    /// ones have filled the queue.
    pub(crate) fn give_back(&mut self, taken: Vec<T>) {
        for one in taken.into_iter().rev() {
            if self.waiting.len() < CAPACITY {
                self.waiting.push_front(one);
            } else {
                self.lost += 1;
            }
        }
    }

    /// Counts elements that were taken and cannot be delivered.
    pub(crate) fn note_lost(&mut self, count: u64) {
        self.lost += count;
    }

    /// Elements that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Elements given up since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(range: std::ops::Range<usize>) -> Queue<usize> {
        let mut queue = Queue::default();
        range.for_each(|one| queue.push(one));
        queue
    }

    #[test]
    fn the_oldest_are_taken_first_and_go_back_to_their_place() {
        let mut queue = filled(0..5);
        let taken = queue.take(3);
        assert_eq!(taken, [0, 1, 2]);
        queue.push(5);
        queue.give_back(taken);
        assert_eq!(queue.take(usize::MAX), [0, 1, 2, 3, 4, 5]);
        assert_eq!(queue.take_lost(), 0);
    }

    #[test]
    fn a_full_queue_gives_up_its_oldest_and_counts_them() {
        let mut queue = filled(0..CAPACITY + 2);
        assert_eq!((queue.len(), queue.take_lost()), (CAPACITY, 2));
        let taken = queue.take(3);
        assert_eq!(taken, [2, 3, 4]);
        queue.push(CAPACITY + 2);
        queue.push(CAPACITY + 3);
        queue.give_back(taken);
        assert_eq!((queue.len(), queue.take_lost()), (CAPACITY, 2));
        assert_eq!(queue.take(2), [4, 5]);
    }
}
