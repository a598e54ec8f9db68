//! What a hypothesis has emitted, token by token: for lists that training learns from (feature `lists`). Without the feature nothing is
//! kept, and takes no room.

use crate::tokens::TokenId;

/// Tokens of a word beyond these are left out.
#[cfg(feature = "lists")]
const MAX_TOKENS: usize = 24;

/// The tokens of a word with their blocks, and what the network gives all that was emitted up to them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Emitted {
    #[cfg(feature = "lists")]
    tokens: [u16; MAX_TOKENS],
    /// Blocks since the first.
    #[cfg(feature = "lists")]
    after: [u8; MAX_TOKENS],
    #[cfg(feature = "lists")]
    num_tokens: u8,
    #[cfg(feature = "lists")]
    first_block: u32,
    #[cfg(feature = "lists")]
    log_prob: f32,
}

/// A hypothesis of a stream that is over, as training learns from it.
#[cfg(feature = "lists")]
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Listed {
    /// The words.
    pub text: String,
    /// As [`Hypothesis::score`](super::Hypothesis::score).
    pub score: f64,
    /// What of it the network gives the tokens and the ends of blocks, without weights.
    pub log_prob: f32,
    /// All tokens without the ends of blocks.
    pub tokens: Vec<TokenId>,
    /// The blocks in which they were emitted.
    pub blocks: Vec<u32>,
}

#[cfg(feature = "lists")]
impl Emitted {
    /// A word begins in `block`.
    pub(super) fn begin(&mut self, block: u32) {
        (self.first_block, self.num_tokens) = (block, 0);
    }

    /// The word goes on with `token`, in `block`.
    pub(super) fn push(&mut self, token: TokenId, block: u32) {
        let at = usize::from(self.num_tokens);
        if at < MAX_TOKENS {
            self.tokens[at] = token as u16;
            self.after[at] = (block - self.first_block).min(u32::from(u8::MAX)) as u8;
            self.num_tokens += 1;
        }
    }

    /// The network gave a token, or the end of a block, this log-probability.
    pub(super) fn add(&mut self, log_prob: f32) {
        self.log_prob += log_prob;
    }

    /// The tokens and their blocks.
    pub fn tokens(&self) -> impl Iterator<Item = (TokenId, u32)> + '_ {
        let after = self.after.iter().map(|after| self.first_block + u32::from(*after));
        let tokens = self.tokens.iter().map(|token| TokenId::from(*token));
        tokens.zip(after).take(usize::from(self.num_tokens))
    }

    /// Natural log-probability of all tokens and ends of blocks.
    pub fn log_prob(&self) -> f32 {
        self.log_prob
    }
}

#[cfg(not(feature = "lists"))]
#[expect(clippy::unused_self)]
impl Emitted {
    pub(super) fn begin(&mut self, _: u32) {}

    pub(super) fn push(&mut self, _: TokenId, _: u32) {}

    pub(super) fn add(&mut self, _: f32) {}
}

#[cfg(all(test, feature = "lists"))]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_its_tokens_and_the_whole_its_probability() {
        let mut emitted = Emitted::default();
        let placed = |emitted: &Emitted| emitted.tokens().collect::<Vec<_>>();
        emitted.begin(7);
        for (token, block) in [(300, 7), (5, 7), (6, 9)] {
            emitted.push(token, block);
            emitted.add(-0.5);
        }
        emitted.add(-0.25);
        assert_eq!(placed(&emitted), [(300, 7), (5, 7), (6, 9)]);
        assert!((emitted.log_prob() + 1.75).abs() < 1e-6);
        // The next word; what does not fit is left out.
        emitted.begin(10);
        (0..30).for_each(|i| emitted.push(i, 10 + i));
        assert_eq!(placed(&emitted), (0..24).map(|i| (i, 10 + i)).collect::<Vec<_>>());
        assert!((emitted.log_prob() + 1.75).abs() < 1e-6);
    }
}
