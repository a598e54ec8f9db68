//! Reading a grammar: a list of phrases, or rules in a part of JSGF (`JSpeech` Grammar Format, W3C Note of 5 June 2000).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter::Peekable;
use std::path::Path;

use super::number;
use super::symbols::{Symbol, symbols};
use crate::error::{Error, Result};
use crate::lexicon::spelt;

/// Brackets inside each other; more are no grammar that somebody wrote.
const MAX_NESTING: usize = 100;
/// Nats in one unit of a cost; whole numbers, so that equal costs are equal.
pub(super) const COST_STEP: f32 = 1.0 / 1024.0;

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
    /// Less likely than what else may stand here, by so many [`COST_STEP`]s.
    Costly(i32, Box<Expression>),
    /// With something to be told when it is said.
    Tagged(Box<Expression>, Tag),
}

/// What is told when something is said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tag {
    /// What stands in the braces.
    Text(String),
    /// The number that the words are.
    Number,
}

/// Rules by name, and what a phrase may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rules {
    pub named: HashMap<String, Expression>,
    pub root: Expression,
    /// Every word with the first line that has it.
    pub words: BTreeMap<String, usize>,
}

impl Rules {
    /// Whether anything is told of a phrase.
    pub fn have_tags(&self) -> bool {
        fn has(part: &Expression) -> bool {
            match part {
                Expression::Tagged(..) => true,
                Expression::Word(_) | Expression::Rule(..) => false,
                Expression::Sequence(all) | Expression::Alternatives(all) => all.iter().any(has),
                Expression::Optional(inner)
                | Expression::Repeated(inner)
                | Expression::Costly(_, inner) => has(inner),
            }
        }
        self.named.values().chain([&self.root]).any(has)
    }
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
    /// Rules that others name.
    referred: HashSet<String>,
}

impl<'a> Parser<'a> {
    fn new(name: &'a Path, text: &str) -> Result<Self> {
        let symbols = symbols(name, text)?.into_iter().peekable();
        Ok(Self {
            name,
            symbols,
            line: 1,
            depth: 0,
            words: BTreeMap::new(),
            referred: HashSet::new(),
        })
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
        for (rule, text) in number::RULES {
            if !named.contains_key(rule) && self.referred.contains(rule) {
                let own = Parser::new(self.name, text)?.rules()?;
                self.words.extend(own.words.into_keys().map(|word| (word, 1)));
                for (name, expression) in own.named {
                    let told = name == rule;
                    let expression = Box::new(expression);
                    let one = if told {
                        Expression::Tagged(expression, Tag::Number)
                    } else {
                        *expression
                    };
                    named.insert(name, one);
                }
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
        let mut all = vec![self.weighted()?];
        while self.symbols.next_if(|s| s.1 == Symbol::Mark('|')).is_some() {
            all.push(self.weighted()?);
        }
        let most = all.iter().filter_map(|(weight, _)| *weight).fold(0.0, f32::max);
        if all.iter().any(|(weight, _)| weight.is_some() != (most > 0.0)) {
            return self.refuse("either all alternatives have weights or none has");
        }
        let mut all = all.into_iter().map(|(weight, one)| match weight {
            Some(weight) if weight < most => {
                let cost = ((most / weight).ln() / COST_STEP).round() as i32;
                Expression::Costly(cost, Box::new(one))
            }
            _ => one,
        });
        let (first, rest): (_, Vec<_>) = (all.next(), all.collect());
        Ok(match first {
            Some(first) if rest.is_empty() => first,
            first => Expression::Alternatives(first.into_iter().chain(rest).collect()),
        })
    }

    /// A sequence with the weight before it.
    fn weighted(&mut self) -> Result<(Option<f32>, Expression)> {
        let weight = match self.symbols.peek() {
            Some((_, Symbol::Weight(weight))) => Some(*weight),
            _ => None,
        };
        if weight.is_some() {
            self.next();
        }
        Ok((weight, self.sequence()?))
    }

    fn sequence(&mut self) -> Result<Expression> {
        let mut all = Vec::new();
        loop {
            let open = match self.symbols.peek() {
                Some((_, Symbol::Mark(mark))) if !['(', '['].contains(mark) => break,
                Some((_, Symbol::Weight(_) | Symbol::Tag(_))) | None => break,
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
                Some(Symbol::Name(rule)) => {
                    self.referred.insert(rule.clone());
                    Expression::Rule(rule, self.line)
                }
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
            let mut one = self.repeated(one);
            while let Some((_, Symbol::Tag(_))) = self.symbols.peek() {
                if let Some(Symbol::Tag(tag)) = self.next() {
                    one = Expression::Tagged(Box::new(one), Tag::Text(tag));
                }
            }
            all.push(one);
        }
        if let Some((_, Symbol::Weight(_))) = self.symbols.peek() {
            return self
                .refuse("a weight stands at the beginning of an alternative: /2/ go | /1/ stop");
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
