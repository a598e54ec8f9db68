//! Reading a grammar: a list of phrases, or rules in a part of JSGF (`JSpeech` Grammar Format, W3C Note of 5 June 2000).

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::path::Path;

use crate::error::{Error, Result};
use crate::lexicon::spelt;

/// Brackets inside each other; more are no grammar that somebody wrote.
const MAX_NESTING: usize = 100;

/// What may be said. Words are lower case.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Word(String),
    /// A rule, by its name without brackets, and the line that refers to it.
    Rule(String, usize),
    Sequence(Vec<Expression>),
    Alternatives(Vec<Expression>),
    Optional(Box<Expression>),
    /// Once or more often.
    Repeated(Box<Expression>),
}

/// Rules by name, and what a phrase may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rules {
    pub named: HashMap<String, Expression>,
    pub root: Expression,
    /// Every word with the first line that has it.
    pub words: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Symbol {
    Word(String),
    Name(String),
    /// One of `= ; | ( ) [ ] + *`.
    Mark(char),
}

/// Reads `text`, which is JSGF if it has a `<` or begins with `#JSGF`, else a list of phrases, one a line.
pub(super) fn parse(name: &Path, text: &str) -> Result<Rules> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with("#JSGF") || text.contains('<') {
        return Parser::new(name, text)?.rules();
    }
    let mut words = BTreeMap::new();
    let mut phrases = Vec::new();
    for (line, content) in (1..).zip(text.lines()).map(|(line, c)| (line, c.trim())) {
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let phrase = spelt(content).map_err(|reason| Error::line(name, line, reason))?;
        for word in &phrase {
            words.entry(word.clone()).or_insert(line);
        }
        phrases.push(Expression::Sequence(phrase.into_iter().map(Expression::Word).collect()));
    }
    if words.is_empty() {
        return Err(Error::line(name, 1, "no phrases"));
    }
    Ok(Rules { named: HashMap::new(), root: Expression::Alternatives(phrases), words })
}

struct Parser<'a> {
    name: &'a Path,
    symbols: Peekable<std::vec::IntoIter<(usize, Symbol)>>,
    line: usize,
    /// Open brackets.
    depth: usize,
    words: BTreeMap<String, usize>,
}

impl<'a> Parser<'a> {
    fn new(name: &'a Path, text: &str) -> Result<Self> {
        let symbols = symbols(name, text)?.into_iter().peekable();
        Ok(Self { name, symbols, line: 1, depth: 0, words: BTreeMap::new() })
    }

    fn refuse<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::line(self.name, self.line, reason))
    }

    fn next(&mut self) -> Option<Symbol> {
        let (line, symbol) = self.symbols.next()?;
        self.line = line;
        Some(symbol)
    }

    fn rules(mut self) -> Result<Rules> {
        let (mut named, mut public, mut first) = (HashMap::new(), Vec::new(), None);
        while let Some(symbol) = self.next() {
            let mut is_public = false;
            let rule = match symbol {
                Symbol::Word(word) if word == "grammar" => {
                    while self.next().is_some_and(|s| s != Symbol::Mark(';')) {}
                    continue;
                }
                Symbol::Word(word) if word == "public" => {
                    is_public = true;
                    match self.next() {
                        Some(Symbol::Name(rule)) => rule,
                        _ => {
                            return self
                                .refuse("public is followed by a rule: public <name> = ...;");
                        }
                    }
                }
                Symbol::Name(rule) => rule,
                _ => return self.refuse("a rule is written: <name> = ...;"),
            };
            let line = self.line;
            if self.next() != Some(Symbol::Mark('=')) {
                return self.refuse(format!("<{rule}> is followed by ="));
            }
            let expression = self.alternatives()?;
            if self.next() != Some(Symbol::Mark(';')) {
                return self.refuse(format!("<{rule}> has no ; at its end"));
            }
            first.get_or_insert_with(|| Expression::Rule(rule.clone(), line));
            if is_public {
                public.push(Expression::Rule(rule.clone(), line));
            }
            if named.insert(rule.clone(), expression).is_some() {
                return self.refuse(format!("<{rule}> is there twice"));
            }
        }
        let root = match (public.is_empty(), first) {
            (false, _) => Expression::Alternatives(public),
            (true, Some(first)) => first,
            (true, None) => return self.refuse("no rules"),
        };
        Ok(Rules { named, root, words: self.words })
    }

    fn alternatives(&mut self) -> Result<Expression> {
        let mut all = vec![self.sequence()?];
        while self.symbols.next_if(|s| s.1 == Symbol::Mark('|')).is_some() {
            all.push(self.sequence()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::Alternatives(all) })
    }

    fn sequence(&mut self) -> Result<Expression> {
        let mut all = Vec::new();
        loop {
            let open = match self.symbols.peek() {
                Some((_, Symbol::Mark(mark))) if !['(', '['].contains(mark) => break,
                None => break,
                Some(_) => self.next(),
            };
            let one = match open {
                Some(Symbol::Word(word)) => {
                    if let Err(reason) = spelt(&word) {
                        return self.refuse(reason);
                    }
                    self.words.entry(word.clone()).or_insert(self.line);
                    Expression::Word(word)
                }
                Some(Symbol::Name(rule)) => Expression::Rule(rule, self.line),
                open => {
                    if self.depth == MAX_NESTING {
                        return self.refuse("too many brackets inside each other");
                    }
                    self.depth += 1;
                    let inner = self.alternatives()?;
                    self.depth -= 1;
                    let optional = open == Some(Symbol::Mark('['));
                    let close = if optional { ']' } else { ')' };
                    if self.next() != Some(Symbol::Mark(close)) {
                        return self.refuse(format!("{close} is missing"));
                    }
                    if optional { Expression::Optional(Box::new(inner)) } else { inner }
                }
            };
            all.push(self.repeated(one));
        }
        if all.is_empty() {
            return self.refuse("words are missing");
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::Sequence(all) })
    }

    /// `one`, with `+` or `*` behind it.
    fn repeated(&mut self, one: Expression) -> Expression {
        let (mut repeated, mut optional) = (false, false);
        while let Some((_, symbol)) =
            self.symbols.next_if(|s| matches!(s.1, Symbol::Mark('+' | '*')))
        {
            repeated = true;
            optional |= symbol == Symbol::Mark('*');
        }
        let out = if repeated { Expression::Repeated(Box::new(one)) } else { one };
        if optional { Expression::Optional(Box::new(out)) } else { out }
    }
}

/// The symbols of JSGF with their lines; comments and the header are left out.
fn symbols(name: &Path, text: &str) -> Result<Vec<(usize, Symbol)>> {
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
            } else if "/{\"".contains(first) {
                let reason = format!(
                    "{first:?} is not supported here: use words, | ( ) [ ] + * and <rules>"
                );
                return Err(Error::line(name, line, reason));
            } else if first.is_whitespace() || first == '-' {
                rest = &rest[first.len_utf8()..];
            } else {
                let ends = |c: char| c.is_whitespace() || "<=;|()[]*+/{\"-".contains(c);
                let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                out.push((line, Symbol::Word(word.to_ascii_lowercase())));
                rest = after;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Expression {
        Expression::Word(text.into())
    }

    #[test]
    fn rules_have_alternatives_groups_options_and_references() {
        let text = "#JSGF V1.0;\ngrammar home;\n// all\npublic <go> = (Turn | switch) [the] <thing>;\n/* two\nlines */ <thing> = light;";
        let rules = parse(Path::new("g"), text).unwrap();
        let either = Expression::Alternatives(vec![word("turn"), word("switch")]);
        let optional = Expression::Optional(Box::new(word("the")));
        let go = Expression::Sequence(vec![either, optional, Expression::Rule("thing".into(), 4)]);
        assert_eq!(rules.named["go"], go);
        assert_eq!(rules.named["thing"], word("light"));
        assert_eq!(rules.root, Expression::Alternatives(vec![Expression::Rule("go".into(), 4)]));
        assert_eq!((rules.words.len(), rules.words["light"]), (4, 6));
    }

    #[test]
    fn plus_and_star_repeat_what_is_before_them() {
        let rules = parse(Path::new("g"), "<a> = go (left | right)+ please**+;").unwrap();
        let repeated = |inner| Expression::Repeated(Box::new(inner));
        let sides = Expression::Alternatives(vec![word("left"), word("right")]);
        let polite = Expression::Optional(Box::new(repeated(word("please"))));
        let expected = Expression::Sequence(vec![word("go"), repeated(sides), polite]);
        assert_eq!(rules.named["a"], expected);
    }

    #[test]
    fn a_list_has_a_phrase_a_line() {
        let rules = parse(Path::new("g"), "# commands\nlights on\n\nTurn-off\n").unwrap();
        let phrase = |words: [&str; 2]| Expression::Sequence(words.map(word).to_vec());
        let expected = vec![phrase(["lights", "on"]), phrase(["turn", "off"])];
        assert_eq!(rules.root, Expression::Alternatives(expected));
    }

    #[test]
    fn bad_grammars_are_refused_with_the_line() {
        for (text, line, what) in [
            ("", 1, "no phrases"),
            ("one\ntwo 2", 2, "'2'"),
            ("<a> = one", 1, ";"),
            ("<a> = one |;", 1, "words are missing"),
            ("<a> = (one;", 1, ") is missing"),
            ("<a> = [one);", 1, "] is missing"),
            ("<a> = one;\n<b = two;", 2, "> is missing"),
            ("<a> = one;\n<a> = two;", 2, "twice"),
            ("<a> = * one;", 1, "words are missing"),
            ("<a> = one {tag};", 1, "'{'"),
            ("<a> = /2/ one;", 1, "'/'"),
            ("<a> one;", 1, "="),
            ("one <a>;", 1, "a rule is written"),
            ("#JSGF V1.0;\n", 1, "no rules"),
            (&format!("<a> = {}", "(".repeat(1_000_000)), 1, "too many brackets"),
        ] {
            let message = parse(Path::new("g.txt"), text).unwrap_err().to_string();
            assert!(message.contains(&format!("g.txt: line {line}")), "{what}: {message}");
            assert!(message.contains(what), "{what}: {message}");
        }
    }
}
