//! Numbers in a grammar: rules that need not be written, and what number words are.

/// Rules that are there where a grammar refers to them and has none of that name, with what they need. `<number>` is a whole number
/// below a million, `<digit>` a single one, `<digits>` several one after the other.
pub(super) const RULES: [(&str, &str); 3] = [
    ("digit", "<digit> = zero | oh | one | two | three | four | five | six | seven | eight | nine;"),
    (
        "digits",
        "<digits> = (zero | oh | one | two | three | four | five | six | seven | eight | nine)+;",
    ),
    (
        "number",
        "<number> = zero | <number of thousands> | <number below a thousand>;
         <number of thousands> = (<number below a thousand> | a) thousand [[and] <number below a thousand>];
         <number below a thousand> = <number below a hundred> | (<number of one digit> | a) hundred [[and] <number below a hundred>];
         <number below a hundred> = <number of one digit> | ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen
           | nineteen | (twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety) [<number of one digit>];
         <number of one digit> = one | two | three | four | five | six | seven | eight | nine;",
    ),
];

const WORDS: [(&str, u32); 29] = [
    ("oh", 0),
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
];

fn value(word: &str) -> Option<u32> {
    WORDS.iter().find(|(own, _)| *own == word).map(|(_, value)| *value)
}

/// The words of one of [`RULES`] in digits: `twenty two` 22, `four oh seven` 407.
pub(super) fn in_digits(words: &[&str]) -> String {
    if words.len() > 1 && words.iter().all(|word| value(word).is_some_and(|value| value < 10)) {
        return words
            .iter()
            .filter_map(|word| value(word))
            .map(|value| value.to_string())
            .collect();
    }
    let (mut thousands, mut rest) = (0, 0);
    for word in words {
        match *word {
            "hundred" => rest *= 100,
            "thousand" => (thousands, rest) = (rest, 0),
            "a" => rest = 1,
            word => rest += value(word).unwrap_or(0),
        }
    }
    (thousands * 1000 + rest).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_in_digits() {
        for (words, digits) in [
            ("zero", "0"),
            ("oh", "0"),
            ("seven", "7"),
            ("four oh seven", "407"),
            ("twenty two", "22"),
            ("a hundred", "100"),
            ("three hundred and five", "305"),
            ("two thousand twenty six", "2026"),
            ("nine hundred ninety nine thousand nine hundred and ninety nine", "999999"),
        ] {
            assert_eq!(in_digits(&words.split(' ').collect::<Vec<_>>()), digits, "{words}");
        }
    }
}
