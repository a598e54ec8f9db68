//! The symbols of JSGF.

use std::path::Path;

use crate::error::{Error, Result};

const WEIGHTS: std::ops::RangeInclusive<f32> = 1e-6..=1e6;

/// What rules are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Symbol {
    Word(String),
    Name(String),
    /// One of `= ; | ( ) [ ] + *`.
    Mark(char),
    /// `/2.5/`.
    Weight(f32),
    /// `{what}`.
    Tag(String),
}

/// The symbols of JSGF with their lines; comments and the header are left out.
pub(super) fn symbols(name: &Path, text: &str) -> Result<Vec<(usize, Symbol)>> {
    let mut out = Vec::new();
    let mut commented = false;
    for (line, content) in (1..).zip(text.lines()) {
        if line == 1 && content.trim_start().starts_with("#JSGF") {
            continue;
        }
        let mut rest = content;
        while let Some(first) = rest.chars().next() {
            if commented {
                let Some((_, after)) = rest.split_once("*/") else { break };
                (rest, commented) = (after, false);
            } else if rest.starts_with("//") {
                break;
            } else if rest.starts_with("/*") {
                (rest, commented) = (&rest[2..], true);
            } else if first == '<' {
                let Some((rule, after)) = rest[1..].split_once('>') else {
                    return Err(Error::line(name, line, "> is missing"));
                };
                out.push((line, Symbol::Name(rule.trim().to_owned())));
                rest = after;
            } else if "=;|()[]+*".contains(first) {
                out.push((line, Symbol::Mark(first)));
                rest = &rest[1..];
            } else if first == '/' {
                let (weight, after) = rest[1..].split_once('/').unwrap_or_default();
                let number = weight.trim().parse().ok().filter(|w: &f32| WEIGHTS.contains(w));
                let Some(number) = number else {
                    let reason = format!(
                        "a weight is written /2.5/ and lies in 0.000001..=1000000, not {weight:?}"
                    );
                    return Err(Error::line(name, line, reason));
                };
                out.push((line, Symbol::Weight(number)));
                rest = after;
            } else if first == '{' {
                let Some((tag, after)) = tag(&rest[1..]) else {
                    return Err(Error::line(name, line, "} is missing"));
                };
                out.push((line, Symbol::Tag(tag)));
                rest = after;
            } else if first == '}' {
                return Err(Error::line(name, line, "} without {"));
            } else if first == '"' {
                let reason = "'\"' is not supported here: use words, | ( ) [ ] + * / { and <rules>";
                return Err(Error::line(name, line, reason));
            } else if first.is_whitespace() || first == '-' {
                rest = &rest[first.len_utf8()..];
            } else {
                let ends = |c: char| c.is_whitespace() || "<=;|()[]*+/{}\"-".contains(c);
                let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                out.push((line, Symbol::Word(word.to_ascii_lowercase())));
                rest = after;
            }
        }
    }
    Ok(out)
}

/// The text of a tag, in which a backslash takes the next character as it is, and what comes after its brace.
fn tag(text: &str) -> Option<(String, &str)> {
    let (mut out, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '}' => return Some((out.trim().to_owned(), &text[at + 1..])),
            '\\' => out.push(characters.next()?.1),
            _ => out.push(character),
        }
    }
    None
}
