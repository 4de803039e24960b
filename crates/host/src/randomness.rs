//! The one place that draws random numbers.

use rand::Rng as _;

/// Fills `buffer` from the thread's cryptographically secure generator, which the operating system seeds.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that draws random numbers; everybody else is given a Randomness"
)]
pub fn fill(buffer: &mut [u8]) {
    rand::rng().fill_bytes(buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        fill(&mut first);
        fill(&mut second);
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }
}
