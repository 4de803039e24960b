//! The one place that draws random numbers.

use std::fmt::Write as _;

use rand::Rng as _;

/// Fills `buffer` from the thread's cryptographically secure generator, which the operating system
/// seeds.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that draws random numbers; everybody else is given a Randomness"
)]
pub fn fill(buffer: &mut [u8]) {
    rand::rng().fill_bytes(buffer);
}

/// This many random bytes in lower-case hex: a secret, or a unique name.
pub fn hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    fill(&mut random);
    random
        .iter()
        .fold(String::with_capacity(2 * bytes), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
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

    #[test]
    fn random_text_has_two_lower_case_digits_for_each_byte() {
        let text = hex(16);
        assert_eq!(text.len(), 32);
        assert!(
            text.bytes().all(|byte| b"0123456789abcdef".contains(&byte)),
            "{text}"
        );
        assert_ne!(text, hex(16));
    }
}
