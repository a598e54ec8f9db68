//! How likely tokens follow each other, whatever is heard: `prior.bin` (docs/model-format.md).

use std::borrow::Cow;

use crate::binary::Reader;
use crate::error::Result;

const FILE: &str = "prior.bin";
const MAGIC: [u8; 4] = *b"VVPR";
const VERSION: u32 = 1;
const HEADER: usize = 16;
const MAX_ORDER: u32 = 3;
/// Nats in one unit of a stored value.
const STEP: f32 = 1.0 / 16.0;

/// An n-gram model of tokens, without ends of blocks, as a table.
///
/// The transducer learns such a model besides the sounds, from the texts of its training speech alone. Search takes a share of
/// it back where a language model of words knows better (density ratio: `McDermott` et al. 2019; internal language model
/// estimation: Meng et al. 2021).
#[derive(Debug)]
pub struct TokenPrior {
    data: Cow<'static, [u8]>,
    order: u32,
    num_tokens: usize,
}

impl TokenPrior {
    /// Takes the bytes of a `prior.bin` and reads them where they lie.
    ///
    /// # Errors
    /// [`crate::Error::Model`] if the bytes are no such file, damaged, or made for another number of tokens; get the model
    /// folder again.
    pub fn from_bytes(data: impl Into<Cow<'static, [u8]>>, num_tokens: usize) -> Result<Self> {
        let data = data.into();
        let mut reader = Reader::new(FILE, &data, MAGIC, VERSION)?;
        let (order, tokens) = (reader.u32()?, reader.count()?);
        if tokens != num_tokens {
            let reason = format!("made for {tokens} tokens, the model has {num_tokens}");
            return Err(reader.damaged(reason));
        }
        let contexts = (1..=MAX_ORDER)
            .contains(&order)
            .then(|| (num_tokens + 1).checked_pow(order - 1))
            .flatten()
            .and_then(|contexts| contexts.checked_mul(num_tokens));
        if contexts.and_then(|values| values.checked_add(HEADER)) != Some(data.len()) {
            return Err(reader.damaged(format!("wrong size for order {order}")));
        }
        Ok(Self { data, order, num_tokens })
    }

    /// What each token costs after `recent`: one more than the number of each token before, the newest in the lowest 16 bits, 0
    /// where there was none.
    pub fn after(&self, recent: u128) -> Costs<'_> {
        let mut context = 0;
        for back in (0..self.order - 1).rev() {
            let number = (recent >> (16 * back)) as usize & 0xffff;
            context = context * (self.num_tokens + 1) + number.min(self.num_tokens);
        }
        Costs(&self.data[HEADER + context * self.num_tokens..][..self.num_tokens])
    }

    /// Tokens in the longest n-gram.
    pub fn order(&self) -> usize {
        self.order as usize
    }
}

/// Negative log-probabilities of all tokens in one context.
#[derive(Debug, Clone, Copy)]
pub struct Costs<'a>(&'a [u8]);

impl Costs<'_> {
    /// Of `token`, in nats; 0 for one that the model does not know.
    pub fn of(&self, token: u32) -> f32 {
        f32::from(self.0.get(token as usize).copied().unwrap_or(0)) * STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tokens, order 3: the cost in context (a, b) of token t is 9 a + 3 b + t.
    fn file() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for field in [VERSION, 3, 2] {
            bytes.extend(field.to_le_bytes());
        }
        for a in 0..3 {
            for b in 0..3 {
                bytes.extend([9 * a + 3 * b, 9 * a + 3 * b + 1]);
            }
        }
        bytes
    }

    #[test]
    fn costs_follow_the_last_two_tokens() {
        let prior = TokenPrior::from_bytes(file(), 2).unwrap();
        assert_eq!(prior.order(), 3);
        let cost = |recent: u128, token| (prior.after(recent).of(token) / STEP) as u32;
        assert_eq!([cost(0, 0), cost(0, 1)], [0, 1]);
        assert_eq!(cost(2, 0), 6, "token 1, and nothing before it");
        assert_eq!(cost(1 << 16 | 2, 1), 16, "token 0, then token 1");
        assert_eq!(cost(2 << 32 | 1 << 16 | 2, 1), 16, "older tokens do not count");
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut wrong = file();
        wrong[4] = 2;
        for bytes in [Vec::new(), file()[..12].to_vec(), file()[..30].to_vec(), wrong, vec![0; 40]]
        {
            assert!(TokenPrior::from_bytes(bytes, 2).is_err());
        }
        let message = TokenPrior::from_bytes(file(), 3).unwrap_err().to_string();
        assert!(message.contains("made for 2 tokens"), "{message}");
        let mut order = file();
        order[8] = 200;
        assert!(TokenPrior::from_bytes(order, 2).is_err());
    }
}
