//! Text from outside in a form that is safe to show.

/// Returns the first `max_chars` characters of a text, without control characters, which could take
/// over the reader's terminal.
pub fn shown(text: &str, max_chars: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(max_chars)
        .collect()
}

/// Returns the number of characters to insert, remove or replace, without regard to case
/// (Levenshtein).
pub fn edits(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replace = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replace.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// Returns the known word that is nearest to an unknown one, if it is near enough to be meant.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|word| (edits(unknown, word), word));
    let (distance, word) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2.max(word.len() / 3)).then_some(word)
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
