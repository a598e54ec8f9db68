//! Numbers as digits, by rule.

/// What a run of words is as a number.
struct Number {
    text: String,
    words: usize,
}

const UNITS: [&str; 10] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: [&str; 10] = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const ORDINALS: [(&str, u64); 30] = [
    ("first", 1),
    ("second", 2),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("eleventh", 11),
    ("twelfth", 12),
    ("thirteenth", 13),
    ("fourteenth", 14),
    ("fifteenth", 15),
    ("sixteenth", 16),
    ("seventeenth", 17),
    ("eighteenth", 18),
    ("nineteenth", 19),
    ("twentieth", 20),
    ("thirtieth", 30),
    ("fortieth", 40),
    ("fiftieth", 50),
    ("sixtieth", 60),
    ("seventieth", 70),
    ("eightieth", 80),
    ("ninetieth", 90),
    ("hundredth", 100),
    ("thousandth", 1000),
    ("millionth", 1_000_000),
];
const SCALES: [(&str, u64); 3] =
    [("thousand", 1000), ("million", 1_000_000), ("billion", 1_000_000_000)];
/// Shorter runs of single digits stay apart.
const DIGITS_TOGETHER: usize = 3;

/// Writes the numbers in `text`, words separated by spaces, as digits: cardinals (`one hundred and five` 105), ordinals
/// (`twenty first` 21st), years (`nineteen eighty four` 1984), decimals (`three point one four` 3.14) and digits said one by one
/// (`five five oh one` 5501). Left as they are: clock times, and the words one, first and second by themselves, which are mostly
/// no numbers.
pub fn digits(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let clock = clock_time(&words, at);
        if clock > 0 {
            out.extend(words[at..at + clock].iter().map(ToString::to_string));
            at += clock;
        } else if let Some(number) = number(&words[at..]) {
            out.push(number.text);
            at += number.words;
        } else {
            out.push((*word).to_owned());
            at += 1;
        }
    }
    out.join(" ")
}

fn index(list: &[&str], word: Option<&&str>) -> Option<u64> {
    let word = word?;
    list.iter().position(|w| w == word).map(|i| i as u64)
}

fn unit(word: Option<&&str>) -> Option<u64> {
    index(&UNITS, word)
}

/// A digit as it is said in a run of them.
fn digit(word: Option<&&str>) -> Option<u64> {
    if word == Some(&"oh") { Some(0) } else { unit(word) }
}

/// A cardinal below 100: (value, words).
fn below_hundred(words: &[&str]) -> Option<(u64, usize)> {
    if let Some(tens) = index(&TENS, words.first()) {
        let unit = unit(words.get(1)).filter(|unit| *unit > 0);
        return Some((20 + 10 * tens + unit.unwrap_or(0), 1 + usize::from(unit.is_some())));
    }
    let teen = index(&TEENS, words.first()).map(|i| i + 10);
    teen.or_else(|| unit(words.first())).map(|value| (value, 1))
}

fn scale(word: Option<&&str>) -> Option<u64> {
    SCALES.iter().find(|(name, _)| Some(name) == word).map(|(_, value)| *value)
}

/// A cardinal: (value, words).
fn cardinal(words: &[&str]) -> Option<(u64, usize)> {
    let (mut total, mut at, mut limit) = (0_u64, 0, u64::MAX);
    loop {
        let multiplied = |at: usize| {
            words.get(at) == Some(&"hundred") || scale(words.get(at)).is_some_and(|s| s < limit)
        };
        // "and" joins what follows a hundred or more; "a hundred" begins a number.
        let joined = usize::from(at > 0 && words.get(at) == Some(&"and"));
        let (mut value, used) = match below_hundred(&words[at + joined..]) {
            Some(found) => found,
            None if at == 0 && words.first() == Some(&"a") && multiplied(1) => (1, 1),
            None => break,
        };
        if joined + at > 0 && value == 0 {
            break;
        }
        at += joined + used;
        if words.get(at) == Some(&"hundred") && value > 0 {
            (value, at) = (100 * value, at + 1);
            let joined = usize::from(words.get(at) == Some(&"and"));
            if let Some((rest, used)) = below_hundred(&words[at + joined..]).filter(|f| f.0 > 0) {
                (value, at) = (value + rest, at + joined + used);
            }
        }
        let Some(scale) = scale(words.get(at)).filter(|s| *s < limit && value > 0) else {
            total += value;
            break;
        };
        total += value * scale;
        (limit, at) = (scale, at + 1);
    }
    (at > 0).then_some((total, at))
}

/// A year said in two halves, or with "hundred" after the first.
fn year(words: &[&str]) -> Option<Number> {
    let (century, used) = below_hundred(words).filter(|(c, n)| (13..=20).contains(c) && *n == 1)?;
    let (rest, more) = match digit(words.get(used + 1)) {
        Some(unit) if words.get(used) == Some(&"oh") && unit > 0 => (unit, 2),
        _ => below_hundred(&words[used..]).filter(|(rest, _)| *rest >= 10)?,
    };
    let after = words.get(used + more);
    let goes_on = after == Some(&"hundred") || scale(after).is_some();
    (!goes_on).then(|| Number { text: format!("{}", 100 * century + rest), words: used + more })
}

fn with_suffix(value: u64) -> String {
    let suffix = match (value % 100, value % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{value}{suffix}")
}

/// An ordinal, alone or at the end of a cardinal.
fn ordinal(words: &[&str]) -> Option<Number> {
    let named = |word: Option<&&str>| ORDINALS.iter().find(|(name, _)| Some(name) == word);
    // As long a cardinal as can stand before it: its last word may be a ten ("twenty" before "first").
    let (before, used) = cardinal(words).unwrap_or((0, 0));
    let joined = usize::from(used > 0 && words.get(used) == Some(&"and"));
    let (_, value) = named(words.get(used + joined))?;
    let words_used = used + joined + 1;
    let total = match used {
        0 if *value <= 2 => return None,
        0 => *value,
        _ if *value >= 100 => before.checked_mul(*value)?,
        // What goes before must leave room for it.
        _ if before % 100 == 0 || *value < 10 && before % 10 == 0 && before % 100 >= 20 => {
            before + value
        }
        _ => return None,
    };
    Some(Number { text: with_suffix(total), words: words_used })
}

fn number(words: &[&str]) -> Option<Number> {
    let run = words.iter().take_while(|w| digit(Some(w)).is_some()).count();
    let after = words.get(run);
    let multiplied = after == Some(&"hundred") || scale(after).is_some() || after == Some(&"point");
    if run >= DIGITS_TOGETHER && !multiplied {
        let digits = words[..run].iter().filter_map(|w| digit(Some(w)));
        return Some(Number { text: digits.map(|d| d.to_string()).collect(), words: run });
    }
    if let Some(number) = year(words).or_else(|| ordinal(words)) {
        return Some(number);
    }
    let (value, used) = cardinal(words)?;
    if words.get(used) == Some(&"point") {
        let run = words[used + 1..].iter().take_while(|w| digit(Some(w)).is_some()).count();
        let digits = words[used + 1..][..run].iter().filter_map(|w| digit(Some(w)));
        let fraction: String = digits.map(|d| d.to_string()).collect();
        if !fraction.is_empty() {
            return Some(Number { text: format!("{value}.{fraction}"), words: used + 1 + run });
        }
        if let Some((fraction, more)) = below_hundred(&words[used + 1..]) {
            return Some(Number { text: format!("{value}.{fraction}"), words: used + 1 + more });
        }
    }
    (value != 1 || used > 1).then(|| Number { text: value.to_string(), words: used })
}

/// How many words from `at` on are a clock time.
fn clock_time(words: &[&str], at: usize) -> usize {
    let part_of_day = |at: usize| match (words.get(at), words.get(at + 1)) {
        (Some(&"o'clock" | &"am" | &"pm"), _) => 1,
        (Some(&"a" | &"p"), Some(&"m")) => 2,
        _ => 0,
    };
    let relative = at > 0
        && ["past", "to", "quarter", "half"].contains(&words[at - 1])
        && (at > 1 && ["half", "quarter"].contains(&words[at - 2]));
    let Some((hour, used)) = below_hundred(&words[at..]).filter(|(h, _)| (1..=12).contains(h))
    else {
        return 0;
    };
    let minutes = below_hundred(&words[at + used..]).filter(|(m, _)| (10..60).contains(m));
    let with_minutes = used + minutes.map_or(0, |(_, n)| n);
    let named = part_of_day(at + with_minutes);
    if named > 0 || relative {
        return with_minutes + named;
    }
    // "three thirty" is no cardinal; "one hundred" and "two thousand" are.
    let plain = minutes.is_some()
        && hour <= 12
        && !words[at + with_minutes..].first().is_some_and(|w| {
            *w == "hundred"
                || scale(Some(w)).is_some()
                || ORDINALS.iter().any(|(name, _)| name == w)
        });
    if plain { with_minutes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("three million two hundred thousand and forty two", "3200042"),
            ("twelve hundred", "1200"),
            ("five and six", "5 and 6"),
            ("zero", "0"),
            ("two thousand three hundred", "2300"),
            ("a man", "a man"),
            ("one hundred thousand", "100000"),
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
    fn clock_times_are_left_alone() {
        for spoken in [
            "at five o'clock",
            "half past three",
            "a quarter to twelve",
            "ten thirty",
            "at three forty five",
            "seven a m",
            "nine fifteen p m",
        ] {
            assert_eq!(digits(spoken), spoken);
        }
    }

    #[test]
    fn other_words_stay() {
        assert_eq!(digits("the quick  brown fox"), "the quick brown fox");
        assert_eq!(digits(""), "");
        assert_eq!(digits("and hundred thousand point"), "and hundred thousand point");
    }
}
