//! A small generator of pseudo-random numbers (SplitMix64), so that files depend on the seed and on nothing else.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Evenly from 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 to `bound` - 1, small numbers more often: some branches and some pizzas are busier than others.
    pub fn skewed(&mut self, bound: u64) -> u64 {
        let first = self.below(bound);
        let second = self.below(bound);
        first.min(second)
    }
}
