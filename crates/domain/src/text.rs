//! Text from outside in a form that is safe to show.

/// Returns the first `max_chars` characters of a text, without control characters, which could take
/// over the reader's terminal.
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
