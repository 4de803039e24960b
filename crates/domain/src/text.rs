//! Text from outside, as it may be shown.

/// The beginning of a text, at most `max_chars` characters, without control characters: those could
/// take over the terminal on which a log or an error ends.
pub fn shown(text: &str, max_chars: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(max_chars)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_short_and_cannot_take_over_a_terminal() {
        assert_eq!(shown("\u{1b}[2Jabc\n", 5), "[2Jab");
        assert_eq!(shown("\u{9b}\u{e9}", 5), "\u{e9}");
    }
}
