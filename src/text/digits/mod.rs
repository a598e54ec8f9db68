//! Numbers as digits, by rule.

mod clock;
#[cfg(test)]
mod tests;

use clock::{Clock, clock_time};

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
const DECADES: [&str; 8] =
    ["twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties"];
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

/// A word, or several that are a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// How many words it is.
    pub words: usize,
    /// The number in digits; none for a word that is none.
    pub digits: Option<String>,
}

/// The numbers among `words` in digits: cardinals (`one hundred and five` 105), ordinals (`twenty first` 21st), years (`nineteen
/// eighty four` 1984) and decades (`nineteen eighties` 1980s), decimals (`three point one four` 3.14), digits said one by one (`five
/// five oh one` 5501), clock times (`ten thirty p m` 10:30 pm), shares (`twenty percent` 20%) and money (`five dollars` $5). Left
/// as they are: `half past three`, and the words one, first and second by themselves, which are mostly no numbers.
pub fn units(words: &[&str]) -> Vec<Unit> {
    let mut out = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let unit = match clock_time(words, at) {
            Some(Clock::Words(used)) => {
                out.extend((0..used).map(|_| Unit { words: 1, digits: None }));
                at += used;
                continue;
            }
            Some(Clock::Digits(time)) => Unit { words: time.words, digits: Some(time.text) },
            None => match number(&words[at..]) {
                Some(number) => {
                    let number = with_unit(number, &words[at..]);
                    Unit { words: number.words, digits: Some(number.text) }
                }
                None => Unit { words: 1, digits: None },
            },
        };
        at += unit.words;
        out.push(unit);
    }
    out
}

/// A number with what is counted, where a sign stands for that.
fn with_unit(number: Number, words: &[&str]) -> Number {
    let Number { text, words: used } = number;
    let plain = text.ends_with(|c: char| c.is_ascii_digit());
    let (amount, scale) = text.split_once(' ').unwrap_or((&text, ""));
    let scale = if scale.is_empty() { String::new() } else { format!(" {scale}") };
    match words.get(used..).unwrap_or_default() {
        ["percent", ..] if plain => Number { text: format!("{text}%"), words: used + 1 },
        ["per", "cent", ..] if plain => Number { text: format!("{text}%"), words: used + 2 },
        ["dollars" | "dollar", rest @ ..] if plain || !scale.is_empty() => {
            let joined = usize::from(rest.first() == Some(&"and"));
            let cents = below_hundred(rest.get(joined..).unwrap_or_default())
                .filter(|(_, n)| matches!(rest.get(joined + n), Some(&"cents" | &"cent")));
            match cents {
                Some((cents, more)) if plain => Number {
                    text: format!("${amount}.{cents:02}"),
                    words: used + 2 + joined + more,
                },
                _ => Number { text: format!("${amount}{scale}"), words: used + 1 },
            }
        }
        ["euros" | "euro", ..] if plain || !scale.is_empty() => {
            Number { text: format!("€{amount}{scale}"), words: used + 1 }
        }
        _ => Number { text, words: used },
    }
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

/// Ten years: `nineteen eighties`, `eighteen hundreds`.
fn decade(words: &[&str]) -> Option<Number> {
    let (century, used) = below_hundred(words).filter(|(c, n)| (10..=20).contains(c) && *n == 1)?;
    let tens = match *words.get(used)? {
        "hundreds" => 0,
        name => 20 + 10 * DECADES.iter().position(|decade| *decade == name)?,
    };
    Some(Number { text: format!("{}s", 100 * century + tens as u64), words: used + 1 })
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
    if let Some(number) = decade(words).or_else(|| year(words)).or_else(|| ordinal(words)) {
        return Some(number);
    }
    let (value, used) = cardinal(words)?;
    if words.get(used) == Some(&"point") {
        let run = words[used + 1..].iter().take_while(|w| digit(Some(w)).is_some()).count();
        let digits = words[used + 1..][..run].iter().filter_map(|w| digit(Some(w)));
        let fraction: String = digits.map(|d| d.to_string()).collect();
        if !fraction.is_empty() {
            return Some(scaled(format!("{value}.{fraction}"), used + 1 + run, words));
        }
        if let Some((fraction, more)) = below_hundred(&words[used + 1..]) {
            return Some(scaled(format!("{value}.{fraction}"), used + 1 + more, words));
        }
    }
    // Round millions keep their word: 3 million.
    if let Some((name, scale)) = SCALES.iter().rev().find(|(_, s)| value >= *s && value % s == 0)
        && *scale >= 1_000_000
        && words[used - 1] == *name
        && used > 1
    {
        let text = format!("{} {name}", grouped(value / scale));
        return Some(Number { text, words: used });
    }
    (value != 1 || used > 1).then(|| Number { text: grouped(value), words: used })
}

/// A decimal with the scale behind it: `two point five million` 2.5 million.
fn scaled(text: String, used: usize, words: &[&str]) -> Number {
    match words.get(used) {
        Some(name) if scale(Some(name)).is_some() => {
            Number { text: format!("{text} {name}"), words: used + 1 }
        }
        _ => Number { text, words: used },
    }
}

/// With a comma between thousands, from ten thousand on.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
