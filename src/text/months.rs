//! May and March: words that are months beside a day, and other words elsewhere.

use super::SpokenWord;
use super::digits::Unit;

const MONTHS: [&str; 2] = ["may", "march"];
/// Before a month that its day follows.
const BEFORE_DATES: [&str; 10] =
    ["on", "since", "until", "till", "by", "from", "before", "after", "for", "last"];

/// Whether unit `i` of `units`, which begins at word `at`, is such a month: `third of may`, `on march twenty first`, `in may`.
pub(super) fn is_month(units: &[Unit], words: &[SpokenWord<'_>], i: usize, at: usize) -> bool {
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |w| w.word);
    if !MONTHS.contains(&word(Some(at))) {
        return false;
    }
    let is_day = |unit: Option<&Unit>, first: &str| match unit.map(|unit| unit.digits.as_deref()) {
        Some(Some(digits)) => ["st", "nd", "rd", "th"].iter().any(|end| digits.ends_with(end)),
        Some(None) => matches!(first, "first" | "second"),
        None => false,
    };
    match word(at.checked_sub(1)) {
        "in" => true,
        "of" => is_day(i.checked_sub(2).and_then(|i| units.get(i)), word(at.checked_sub(2))),
        before => BEFORE_DATES.contains(&before) && is_day(units.get(i + 1), word(Some(at + 1))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::digits::units;
    use super::*;

    #[test]
    fn months_are_told_from_other_words() {
        let is = |line: &str| {
            let spoken: Vec<&str> = line.split(' ').collect();
            let word = |word| SpokenWord { word, start_s: 0.0, end_s: 0.0 };
            let words: Vec<_> = spoken.iter().map(|w| word(*w)).collect();
            let units = units(&spoken);
            let mut at = 0;
            units.iter().enumerate().any(|(i, unit)| {
                at += unit.words;
                is_month(&units, &words, i, at - unit.words)
            })
        };
        for line in [
            "we meet on the third of may",
            "the twenty second of march",
            "the first of may",
            "on march twenty first",
            "since may second",
            "it rains in march",
        ] {
            assert!(is(line), "{line}");
        }
        for line in [
            "it may rain",
            "three of you may go",
            "you may first try",
            "the second of many may go",
            "the third may go",
            "they march on",
            "may",
            "a line of march",
            "by may we mean",
        ] {
            assert!(!is(line), "{line}");
        }
    }
}
