//! Word, character and phone error rates by minimum edit distance (Levenshtein, 1966).

use std::ops::AddAssign;

/// Edits that turn the reference into the hypothesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// Tokens put in place of another.
    pub substitutions: usize,
    /// Reference tokens left out.
    pub deletions: usize,
    /// Tokens with no counterpart in the reference.
    pub insertions: usize,
    /// Tokens of the reference.
    pub reference: usize,
}

impl ErrorCounts {
    /// All edits.
    pub fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// Edits a reference token; 0 if both sides are empty, infinite if only the reference is.
    pub fn rate(&self) -> f64 {
        if self.errors() == 0 { 0.0 } else { self.errors() as f64 / self.reference as f64 }
    }
}

impl AddAssign for ErrorCounts {
    fn add_assign(&mut self, other: Self) {
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
        self.reference += other.reference;
    }
}

/// One step of an alignment, with indices into reference and hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Equal tokens.
    Match(usize, usize),
    /// Another token.
    Substitution(usize, usize),
    /// A reference token left out.
    Deletion(usize),
    /// A token too many.
    Insertion(usize),
}

/// A cheapest alignment, all edits costing 1. Among equally cheap ones a match or substitution
/// is preferred over a deletion and that over an insertion, from the end backwards.
pub fn align<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> Vec<Operation> {
    let (rows, columns) = (reference.len() + 1, hypothesis.len() + 1);
    let mut cost = vec![0_u32; rows * columns];
    for (j, c) in cost[..columns].iter_mut().enumerate() {
        *c = j as u32;
    }
    for i in 1..rows {
        cost[i * columns] = i as u32;
        for j in 1..columns {
            let changed = u32::from(reference[i - 1] != hypothesis[j - 1]);
            let diagonal = cost[(i - 1) * columns + j - 1] + changed;
            let deletion = cost[(i - 1) * columns + j] + 1;
            let insertion = cost[i * columns + j - 1] + 1;
            cost[i * columns + j] = diagonal.min(deletion).min(insertion);
        }
    }
    let (mut i, mut j) = (rows - 1, columns - 1);
    let mut operations = Vec::with_capacity(i.max(j));
    while i > 0 || j > 0 {
        let here = cost[i * columns + j];
        let same = i > 0 && j > 0 && reference[i - 1] == hypothesis[j - 1];
        if i > 0 && j > 0 && here == cost[(i - 1) * columns + j - 1] + u32::from(!same) {
            (i, j) = (i - 1, j - 1);
            let step = if same { Operation::Match } else { Operation::Substitution };
            operations.push(step(i, j));
        } else if i > 0 && here == cost[(i - 1) * columns + j] + 1 {
            i -= 1;
            operations.push(Operation::Deletion(i));
        } else {
            j -= 1;
            operations.push(Operation::Insertion(j));
        }
    }
    operations.reverse();
    operations
}

/// Counts of a cheapest alignment.
pub fn errors<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> ErrorCounts {
    let mut counts = ErrorCounts { reference: reference.len(), ..ErrorCounts::default() };
    for operation in align(reference, hypothesis) {
        match operation {
            Operation::Match(..) => {}
            Operation::Substitution(..) => counts.substitutions += 1,
            Operation::Deletion(_) => counts.deletions += 1,
            Operation::Insertion(_) => counts.insertions += 1,
        }
    }
    counts
}

/// Word errors of texts separated by white space, taken as they are; see [`normalize_text`].
pub fn word_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let words = |text| str::split_whitespace(text).collect::<Vec<_>>();
    errors(&words(reference), &words(hypothesis))
}

/// Character errors, spaces counted, texts taken as they are.
pub fn char_errors(reference: &str, hypothesis: &str) -> ErrorCounts {
    let chars = |text| str::chars(text).collect::<Vec<_>>();
    errors(&chars(reference), &chars(hypothesis))
}

/// Lower case; all but `a` to `z` and the apostrophe become spaces (typographic apostrophes
/// become plain ones); apostrophes beside no letter are removed; spaces are folded.
pub fn normalize_text(text: &str) -> String {
    let chars: Vec<char> = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'a'..='z' | '\'' => c,
            '\u{2019}' | '\u{2018}' | '\u{02bc}' => '\'',
            _ => ' ',
        })
        .collect();
    let letter = |i: usize| chars.get(i).is_some_and(char::is_ascii_lowercase);
    let kept: String = chars
        .iter()
        .enumerate()
        .filter(|&(i, c)| *c != '\'' || letter(i + 1) || (i > 0 && letter(i - 1)))
        .map(|(_, c)| *c)
        .collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: [usize; 4]) -> ErrorCounts {
        let [substitutions, deletions, insertions, reference] = text;
        ErrorCounts { substitutions, deletions, insertions, reference }
    }

    #[test]
    fn edits_are_counted_by_kind() {
        for (reference, hypothesis, expected) in [
            ("", "", [0, 0, 0, 0]),
            ("a b c", "a b c", [0, 0, 0, 3]),
            ("a b c", "a x c", [1, 0, 0, 3]),
            ("a b c", "a c", [0, 1, 0, 3]),
            ("a c", "a b c", [0, 0, 1, 2]),
            ("", "a b", [0, 0, 2, 0]),
            ("a b", "", [0, 2, 0, 2]),
            ("the cat sat on the mat", "the cat sat mat", [0, 2, 0, 6]),
            ("a b c d", "b c d e", [0, 1, 1, 4]),
        ] {
            assert_eq!(word_errors(reference, hypothesis), counts(expected), "{reference}");
        }
        assert_eq!(char_errors("kitten", "sitting"), counts([2, 0, 1, 6]));
    }

    #[test]
    fn rates_add_up_over_utterances() {
        let mut total = word_errors("a b c", "a b");
        total += word_errors("d", "e");
        assert!((total.rate() - 0.5).abs() < 1e-12);
        assert!(ErrorCounts::default().rate().abs() < 1e-12);
        assert!(word_errors("", "a").rate().is_infinite());
    }

    #[test]
    fn alignments_walk_both_sides_in_order() {
        let (reference, hypothesis) = ([1, 2, 3], [1, 4, 3, 5]);
        let expected = [
            Operation::Match(0, 0),
            Operation::Substitution(1, 1),
            Operation::Match(2, 2),
            Operation::Insertion(3),
        ];
        assert_eq!(align(&reference, &hypothesis), expected);
    }

    #[test]
    fn texts_are_normalised() {
        for (text, expected) in [
            ("Hello, World!", "hello world"),
            ("well-known\u{2014}thing", "well known thing"),
            ("'tis  the dogs' don\u{2019}t ' '' ", "'tis the dogs' don't"),
            ("it's 5 o'clock", "it's o'clock"),
            ("  ", ""),
        ] {
            assert_eq!(normalize_text(text), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn distance_is_symmetric_and_bounded(
            a in proptest::collection::vec(0_u8..4, 0..12),
            b in proptest::collection::vec(0_u8..4, 0..12),
        ) {
            let (ab, ba) = (errors(&a, &b), errors(&b, &a));
            proptest::prop_assert_eq!(ab.errors(), ba.errors());
            proptest::prop_assert!(ab.errors() <= a.len().max(b.len()));
            proptest::prop_assert!(ab.errors() >= a.len().abs_diff(b.len()));
            proptest::prop_assert_eq!(b.len() + ab.deletions, a.len() + ab.insertions);
        }
    }
}
