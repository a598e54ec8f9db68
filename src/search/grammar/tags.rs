//! What is told of a phrase: the tags of the parts of its grammar that it is made of.

use super::number::in_digits;
use super::parse::{Expression, Rules, Tag};

/// Parts that are looked at; a phrase that can be read in more ways has no tags.
const MAX_LOOKS: usize = 200_000;

/// Reads a phrase by the rules; the first way in which it can be read counts, alternatives in their order and the longest of what may be repeated.
struct Reader<'a> {
    rules: &'a Rules,
    words: &'a [&'a str],
    looks: usize,
}

/// Goes on behind a part, at a word, with the tags so far; whether the rest could be read.
type Then<'t> = &'t mut dyn FnMut(&mut Reader<'_>, usize, &mut Vec<String>) -> bool;

impl Reader<'_> {
    fn read(
        &mut self,
        part: &Expression,
        at: usize,
        tags: &mut Vec<String>,
        then: Then<'_>,
    ) -> bool {
        self.looks += 1;
        if self.looks > MAX_LOOKS {
            return false;
        }
        match part {
            Expression::Word(word) => {
                self.words.get(at) == Some(&word.as_str()) && then(self, at + 1, tags)
            }
            Expression::Rule(name, _) => {
                let rules = self.rules;
                rules.named.get(name).is_some_and(|rule| self.read(rule, at, tags, then))
            }
            Expression::Sequence(all) => self.sequence(all, at, tags, then),
            Expression::Alternatives(all) => all.iter().any(|one| self.read(one, at, tags, then)),
            Expression::Optional(inner) => self.read(inner, at, tags, then) || then(self, at, tags),
            Expression::Repeated(inner) => {
                let again = &mut |reader: &mut Reader<'_>, next: usize, tags: &mut Vec<String>| {
                    next > at && reader.read(part, next, tags, then) || then(reader, next, tags)
                };
                self.read(inner, at, tags, again)
            }
            Expression::Costly(_, inner) => self.read(inner, at, tags, then),
            Expression::Tagged(inner, tag) => {
                let tagged = &mut |reader: &mut Reader<'_>, next: usize, tags: &mut Vec<String>| {
                    tags.push(match tag {
                        Tag::Text(text) => text.clone(),
                        Tag::Number => in_digits(&reader.words[at..next]),
                    });
                    let read = then(reader, next, tags);
                    if !read {
                        tags.pop();
                    }
                    read
                };
                self.read(inner, at, tags, tagged)
            }
        }
    }

    fn sequence(
        &mut self,
        all: &[Expression],
        at: usize,
        tags: &mut Vec<String>,
        then: Then<'_>,
    ) -> bool {
        match all.split_first() {
            None => then(self, at, tags),
            Some((first, rest)) => {
                let go_on = &mut |reader: &mut Reader<'_>, next: usize, tags: &mut Vec<String>| {
                    reader.sequence(rest, next, tags, then)
                };
                self.read(first, at, tags, go_on)
            }
        }
    }
}

/// The tags of a phrase, in the order in which what they stand behind was said.
pub(super) fn tags(rules: &Rules, words: &[&str]) -> Vec<String> {
    let (mut reader, mut tags) = (Reader { rules, words, looks: 0 }, Vec::new());
    let end =
        &mut |reader: &mut Reader<'_>, at: usize, _: &mut Vec<String>| at == reader.words.len();
    if reader.read(&rules.root, 0, &mut tags, end) { tags } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse::parse;
    use super::*;

    fn told(grammar: &str, phrase: &str) -> Vec<String> {
        let rules = parse(Path::new("g"), grammar).unwrap();
        tags(&rules, &phrase.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn tags_come_in_the_order_of_what_was_said() {
        let grammar = "public <go> = (turn | switch) (on {on} | off {off}) [the] <room>+ [light | lights] {light};
            <room> = kitchen {room kitchen} | living room {room living\\}} | bed room;";
        assert_eq!(
            told(grammar, "turn off the living room lights"),
            ["off", "room living}", "light"]
        );
        assert_eq!(
            told(grammar, "switch on kitchen living room"),
            ["on", "room kitchen", "room living}", "light"]
        );
        assert_eq!(told(grammar, "turn on bed room light"), ["on", "light"]);
        assert!(told(grammar, "turn on the garden").is_empty());
    }

    #[test]
    fn numbers_need_no_rules() {
        let grammar = "<set> = set [the] temperature to <number> degrees {set} | dial <digits> | channel <digit>;";
        assert_eq!(told(grammar, "set temperature to twenty two degrees"), ["22", "set"]);
        assert_eq!(told(grammar, "dial five five oh one"), ["5501"]);
        assert_eq!(told(grammar, "channel nine"), ["9"]);
        assert_eq!(told("<a> = <number>; <number> = some {few};", "some"), ["few"]);
    }

    #[test]
    fn what_can_be_read_in_too_many_ways_has_no_tags_and_takes_no_time() {
        let grammar = format!("<a> = {} end {{x}};", "[go] ".repeat(60));
        assert!(told(&grammar, &format!("{}stop", "go ".repeat(30))).is_empty());
    }
}
