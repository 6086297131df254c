//! numpy's legacy random generator, as far as scikit-learn's stratified split draws from it.
//!
//! Why it is here: NannyML decides on calibration by a cross-validation with a fixed seed. The same
//! decision needs the same splits, and no crate shuffles as `RandomState` does.

/// Mersenne twister MT19937 seeded with one whole number.
#[derive(Debug, Clone)]
pub(crate) struct RandomState {
    key: [u32; 624],
    at: usize,
}

impl RandomState {
    pub(crate) fn new(seed: u32) -> Self {
        let mut key = [0_u32; 624];
        let mut value = seed;
        for (index, slot) in key.iter_mut().enumerate() {
            *slot = value;
            value = 1_812_433_253_u32
                .wrapping_mul(value ^ (value >> 30))
                .wrapping_add(index as u32 + 1);
        }
        Self { key, at: 624 }
    }

    fn refill(&mut self) {
        for i in 0..624 {
            let y = (self.key[i] & 0x8000_0000) | (self.key[(i + 1) % 624] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.key[i] = self.key[(i + 397) % 624] ^ (y >> 1) ^ odd;
        }
        self.at = 0;
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        if self.at == 624 {
            self.refill();
        }
        let mut y = self.key[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A whole number from 0 to `max`, by masked rejection.
    pub(crate) fn up_to(&mut self, max: u32) -> u32 {
        if max == 0 {
            return 0;
        }
        let mask = u32::MAX >> max.leading_zeros();
        loop {
            let value = self.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            let j = self.up_to(i as u32) as usize;
            values.swap(i, j);
        }
    }

    /// `permutation(n)`.
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut values: Vec<usize> = (0..n).collect();
        self.shuffle(&mut values);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutes_as_numpy() {
        // numpy.random.RandomState(42).permutation(10)
        assert_eq!(RandomState::new(42).permutation(10), [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
    }
}
