//! What decides where something is drawn by lot.

use std::time::Duration;

/// Numbers that look random (the mixing function of Steele, Lea and Flood's SplitMix64).
pub(crate) struct Lots {
    state: u64,
}

impl Lots {
    /// For a round of a row.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut lots = Self {
            state: seed
                .wrapping_mul(0xd134_2543_de82_ef95)
                .wrapping_add(number),
        };
        lots.next();
        lots
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Less than so many milliseconds.
    pub(crate) fn up_to(&mut self, millis: u64) -> Duration {
        Duration::from_micros(self.below(millis * 1000))
    }

    /// One of them all.
    pub(crate) fn pick<T: Copy>(&mut self, one: T, others: &[T]) -> T {
        let drawn = self.below(others.len() as u64 + 1);
        let drawn = usize::try_from(drawn).ok();
        drawn.and_then(|at| others.get(at)).copied().unwrap_or(one)
    }
}
