//! Clock times.

use super::{Number, ORDINALS, below_hundred, digit, scale};

/// What a clock time follows.
const BEFORE_TIMES: [&str; 12] = [
    "at", "by", "until", "till", "around", "about", "before", "after", "since", "from", "between",
    "past",
];

pub(super) enum Clock {
    /// So many words that stay as they are.
    Words(usize),
    Digits(Number),
}

/// The clock time that begins at `at`.
pub(super) fn clock_time(words: &[&str], at: usize) -> Option<Clock> {
    let before = at.checked_sub(1).map(|i| words[i]);
    let relative = before.is_some_and(|w| ["past", "to"].contains(&w))
        && at > 1
        && ["half", "quarter"].contains(&words[at - 2]);
    let (hour, used) = below_hundred(&words[at..]).filter(|(h, _)| (1..=12).contains(h))?;
    let minutes = match (words.get(at + used), digit(words.get(at + used + 1))) {
        (Some(&"oh"), Some(unit)) if unit > 0 => Some((unit, 2)),
        _ => below_hundred(&words[at + used..]).filter(|(m, _)| (10..60).contains(m)),
    };
    let used_all = used + minutes.map_or(0, |(_, n)| n);
    let rest = &words[at + used_all..];
    let part = match rest {
        ["am", ..] => Some(("am", 1)),
        ["pm", ..] => Some(("pm", 1)),
        ["a", "m", ..] => Some(("am", 2)),
        ["p", "m", ..] => Some(("pm", 2)),
        _ => None,
    };
    if relative {
        return Some(Clock::Words(used));
    }
    let time = match minutes {
        Some((minutes, _)) => format!("{hour}:{minutes:02}"),
        None => hour.to_string(),
    };
    if let Some((name, more)) = part {
        let text = format!("{time} {name}");
        return Some(Clock::Digits(Number { text, words: used_all + more }));
    }
    if minutes.is_none() && rest.first() == Some(&"o'clock") {
        return Some(Clock::Digits(Number { text: time, words: used }));
    }
    // "three thirty" is no cardinal; "one hundred" and "two thousand" are.
    let goes_on = rest.first().is_some_and(|w| {
        *w == "hundred"
            || scale(Some(w)).is_some()
            || ORDINALS.iter().any(|(name, _)| name == w)
            || digit(Some(w)).is_some()
    });
    minutes.filter(|_| !goes_on)?;
    let told = before.is_some_and(|w| BEFORE_TIMES.contains(&w));
    Some(if told {
        Clock::Digits(Number { text: time, words: used_all })
    } else {
        Clock::Words(used_all)
    })
}
