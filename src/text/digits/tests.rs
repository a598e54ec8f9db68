//! Numbers as people say and write them.

use super::*;

fn digits(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (mut at, mut out) = (0, Vec::new());
    for unit in units(&words) {
        out.push(unit.digits.unwrap_or_else(|| words[at].to_owned()));
        at += unit.words;
    }
    assert_eq!(at, words.len(), "{text}");
    out.join(" ")
}

fn all(expected: &[(&str, &str)]) {
    for (spoken, written) in expected {
        assert_eq!(digits(spoken), *written, "{spoken}");
    }
}

#[test]
fn numbers_become_digits() {
    all(&[
        ("twenty three", "23"),
        ("i have two dogs and one cat", "i have 2 dogs and one cat"),
        ("one hundred and five", "105"),
        ("one hundred five people", "105 people"),
        ("a hundred", "100"),
        ("a thousand and one nights", "1001 nights"),
        ("two thousand and five", "2005"),
        ("three million two hundred thousand and forty two", "3,200,042"),
        ("twelve hundred", "1200"),
        ("five and six", "5 and 6"),
        ("zero", "0"),
        ("two thousand three hundred", "2300"),
        ("a man", "a man"),
        ("one hundred thousand", "100,000"),
        ("forty two point", "42 point"),
    ]);
}

#[test]
fn ordinals_get_their_ending() {
    all(&[
        ("the twenty first of may", "the 21st of may"),
        ("the third man", "the 3rd man"),
        ("wait a second", "wait a second"),
        ("at first", "at first"),
        ("eleventh and twelfth", "11th and 12th"),
        ("one hundred and third", "103rd"),
        ("two hundredth", "200th"),
        ("nineteenth century", "19th century"),
        ("five second pause", "5 second pause"),
    ]);
}

#[test]
fn years_and_decimals_and_single_digits() {
    all(&[
        ("in nineteen eighty four", "in 1984"),
        ("nineteen oh five", "1905"),
        ("eighteen hundred", "1800"),
        ("since twenty twenty", "since 2020"),
        ("twenty twenty one", "2021"),
        ("three point one four", "3.14"),
        ("zero point five", "0.5"),
        ("ninety eight point six degrees", "98.6 degrees"),
        ("two point twenty five", "2.25"),
        ("call five five five one oh two", "call 555102"),
        ("one two", "one 2"),
        ("one one two", "112"),
        ("oh dear", "oh dear"),
    ]);
}

#[test]
fn clock_times_are_written_where_they_are_sure() {
    all(&[
        ("at five o'clock", "at 5 o'clock"),
        ("half past three", "half past three"),
        ("a quarter to twelve", "a quarter to twelve"),
        ("ten thirty", "ten thirty"),
        ("at three forty five", "at 3:45"),
        ("seven a m", "7 am"),
        ("nine fifteen p m", "9:15 pm"),
        ("from nine oh five to ten", "from 9:05 to 10"),
        ("at three", "at 3"),
        ("since twelve hundred", "since 1200"),
    ]);
}

#[test]
fn money_shares_and_decades() {
    all(&[
        ("five dollars", "$5"),
        ("five dollars and fifty cents", "$5.50"),
        ("it cost five million dollars", "it cost $5 million"),
        ("two point five million euros", "€2.5 million"),
        ("twenty percent of them", "20% of them"),
        ("three point five per cent", "3.5%"),
        ("in the nineteen eighties", "in the 1980s"),
        ("in the fourteen eighties he", "in the 1480s he"),
        ("the eighteen hundreds", "the 1800s"),
        ("three million people", "3 million people"),
        ("a million", "1 million"),
        ("the third dollar", "the 3rd dollar"),
        ("in eighteen forty four revived", "in 1844 revived"),
    ]);
}

#[test]
fn other_words_stay() {
    assert_eq!(digits("the quick  brown fox"), "the quick brown fox");
    assert_eq!(digits(""), "");
    assert_eq!(digits("and hundred thousand point"), "and hundred thousand point");
}
