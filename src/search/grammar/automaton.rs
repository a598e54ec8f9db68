//! The automaton of a grammar: made of its expressions, then deterministic.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::Grammar;
use super::parse::{COST_STEP, Expression};
use crate::error::{Error, Result};
use crate::lexicon::{Lexicon, WordId};

const MAX_STATES: usize = 100_000;
/// Arcs of the automaton, and parts of expressions that it is made of.
const MAX_ARCS: usize = 1_000_000;
/// Arcs that are looked at while it is made.
const MAX_LOOKS: usize = 20_000_000;
/// Parts of expressions inside each other, rules that rules refer to among them.
const MAX_DEPTH: usize = 1000;

/// Where a word leads, and what it costs, in [`COST_STEP`]s.
pub(super) type Leads = (u32, i32);

/// Arcs of a nondeterministic automaton with costs in [`COST_STEP`]s; without a word it is passed at once.
#[derive(Default)]
pub(super) struct Builder {
    arcs: Vec<Vec<(Option<WordId>, i32, usize)>>,
    open: Vec<String>,
    parts: usize,
    depth: usize,
    looks: usize,
}

impl Grammar {
    pub(super) fn add(
        &self,
        expression: &Expression,
        from: usize,
        to: usize,
        builder: &mut Builder,
        lexicon: &Lexicon,
    ) -> Result<()> {
        builder.parts += 1;
        if builder.arcs.len() > MAX_STATES || builder.parts > MAX_ARCS {
            return self.too_large();
        }
        builder.depth += 1;
        match expression {
            Expression::Word(word) => {
                let line = self.rules.words.get(word).copied().unwrap_or(1);
                let id = lexicon.word_id(word).ok_or_else(|| {
                    Error::line(&self.name, line, format!("{word:?} is not in the lexicon"))
                })?;
                builder.arcs[from].push((Some(id), 0, to));
            }
            Expression::Optional(inner) => {
                builder.arcs[from].push((None, 0, to));
                self.add(inner, from, to, builder, lexicon)?;
            }
            Expression::Repeated(inner) => {
                let (begin, end) = (builder.state(), builder.state());
                builder.arcs[from].push((None, 0, begin));
                self.add(inner, begin, end, builder, lexicon)?;
                builder.arcs[end].push((None, 0, begin));
                builder.arcs[end].push((None, 0, to));
            }
            Expression::Costly(cost, inner) => {
                let begin = builder.state();
                builder.arcs[from].push((None, *cost, begin));
                self.add(inner, begin, to, builder, lexicon)?;
            }
            Expression::Tagged(inner, _) => self.add(inner, from, to, builder, lexicon)?,
            Expression::Alternatives(all) => {
                for one in all {
                    self.add(one, from, to, builder, lexicon)?;
                }
            }
            Expression::Sequence(all) => {
                let mut at = from;
                for (i, one) in all.iter().enumerate() {
                    let next = if i + 1 == all.len() { to } else { builder.state() };
                    self.add(one, at, next, builder, lexicon)?;
                    at = next;
                }
            }
            Expression::Rule(name, line) => {
                let refuse =
                    |what: &str| Error::line(&self.name, *line, format!("<{name}> {what}"));
                let rule = self.rules.named.get(name).ok_or_else(|| refuse("is not there"))?;
                if builder.open.contains(name) {
                    return Err(refuse("leads back to itself"));
                }
                if builder.depth > MAX_DEPTH {
                    return Err(refuse("comes after too many other rules"));
                }
                builder.open.push(name.clone());
                self.add(rule, from, to, builder, lexicon)?;
                builder.open.pop();
            }
        }
        builder.depth -= 1;
        Ok(())
    }

    fn too_large<T>(&self) -> Result<T> {
        Err(Error::line(&self.name, 1, "too many phrases"))
    }

    /// States, and what it costs to end there if a phrase may; the first is the start (Mohri 1997, "Finite-State Transducers in
    /// Language and Speech Processing", for costs whose least is taken).
    #[expect(clippy::type_complexity, reason = "one call site")]
    pub(super) fn deterministic(
        &self,
        builder: &mut Builder,
        start: usize,
        end: usize,
    ) -> Result<(Vec<BTreeMap<WordId, Leads>>, Vec<Option<f32>>)> {
        // What the start's own costs have in common would be paid by every phrase alike.
        let mut sets = vec![builder.closure(vec![(start, 0)]).0];
        let mut numbers: HashMap<Set, u32> = HashMap::from([(sets[0].clone(), 0)]);
        let (mut table, mut ends, mut arcs) = (Vec::new(), Vec::new(), 0);
        while let Some(set) = sets.get(table.len()).cloned() {
            let mut targets: BTreeMap<WordId, Set> = BTreeMap::new();
            for (state, left) in &set {
                for (word, cost, to) in &builder.arcs[*state] {
                    if let Some(word) = word {
                        targets.entry(*word).or_default().push((*to, left + cost));
                    }
                }
            }
            let mut next = BTreeMap::new();
            for (word, to) in targets {
                let (closure, least) = builder.closure(to);
                let number = *numbers.entry(closure.clone()).or_insert(sets.len() as u32);
                if number as usize == sets.len() {
                    sets.push(closure);
                }
                next.insert(word, (number, least));
                if sets.len() > MAX_STATES || builder.looks > MAX_LOOKS {
                    return self.too_large();
                }
            }
            arcs += next.len();
            if arcs > MAX_ARCS {
                return self.too_large();
            }
            table.push(next);
            let left = set.iter().find(|(state, _)| *state == end).map(|(_, left)| *left);
            ends.push(left.map(|left| left as f32 * COST_STEP));
        }
        Ok((table, ends))
    }
}

/// States of the nondeterministic automaton, each with its cost beyond the least.
type Set = Vec<(usize, i32)>;

impl Builder {
    pub fn state(&mut self) -> usize {
        self.arcs.push(Vec::new());
        self.arcs.len() - 1
    }

    /// All states that are reached without a word, sorted, with what each costs beyond the least, and the least.
    fn closure(&mut self, from: Set) -> (Set, i32) {
        // The cheapest first, so that each state is gone on from once (Dijkstra 1959).
        let mut open: BinaryHeap<_> =
            from.into_iter().map(|(state, cost)| Reverse((cost, state))).collect();
        let mut costs: HashMap<usize, i32> = HashMap::new();
        while let Some(Reverse((cost, state))) = open.pop() {
            self.looks += 1;
            if costs.contains_key(&state) {
                continue;
            }
            costs.insert(state, cost);
            self.looks += self.arcs[state].len();
            for (_, more, to) in self.arcs[state].iter().filter(|arc| arc.0.is_none()) {
                if !costs.contains_key(to) {
                    open.push(Reverse((cost.saturating_add(*more), *to)));
                }
            }
            if self.looks > MAX_LOOKS {
                break; // It will be refused.
            }
        }
        let least = costs.values().copied().min().unwrap_or(0);
        let mut all: Set = costs.into_iter().map(|(state, cost)| (state, cost - least)).collect();
        all.sort_unstable();
        (all, least)
    }
}
