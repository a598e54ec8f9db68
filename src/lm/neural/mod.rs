//! Neural language model of words, read from `word_lm.safetensors` (docs/model-format.md).
//!
//! An LSTM layer reads the vectors of the words so far; what comes out, projected, times the vector of a word is the logit of that word
//! to come. The recipe trains it so that the exponentials of all logits add up to 1 and no sum over all words is ever wanted (Devlin
//! et al. 2014, "Fast and robust neural network joint models for statistical machine translation", section 3.3).

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::error::{Error, Result};
use crate::nn::kernels::kernels;
use crate::nn::{Activations, Linear, Lstm, PackedMatrix, Rows, RowsMut};
use crate::weights::{Precision, Weights};

/// The unknown word and the two sentence marks follow the words.
const MARKS: usize = 3;
/// Largest value of 8 bits.
const LARGEST: f32 = 127.0;
/// 1.5 * 2^23: a sum with it has no bits behind the point.
const WHOLE: f32 = 12_582_912.0;

/// Vectors of words, `[words, width]`, in 8 bits with a scale each.
#[derive(Debug)]
struct Vectors {
    width: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Vectors {
    fn load(weights: &Weights<'_>, name: &str) -> Result<Self> {
        let [words, width] = weights.sides(name)?;
        let (values, scales) = weights.bytes(name, words, width)?;
        Ok(Self { width, values, scales })
    }

    fn len(&self) -> usize {
        self.scales.len()
    }

    fn row(&self, place: usize) -> (&[i8], f32) {
        (&self.values[place * self.width..][..self.width], self.scales[place])
    }

    /// Product of the vector at `place` with `values`, which are worth `scale` each.
    fn times(&self, place: usize, values: &[i8], scale: f32) -> f32 {
        let (row, own) = self.row(place);
        kernels().dot_bytes(row, values) as f32 * (own * scale)
    }
}

/// The model. Word `i` is word `i` of the lexicon that it was made with; any other number stands for an unknown word.
#[derive(Debug)]
pub struct NeuralLm {
    num_words: u32,
    fingerprint: u64,
    /// By word: its place among those with vectors of their own, or, from their number on, among the others.
    places: Vec<u16>,
    /// Frequent words, vectors of full width.
    frequent: Vectors,
    /// The others, vectors that are widened.
    rare: Vectors,
    /// `[width of the others, full width]`: what comes out, for the others.
    narrow: PackedMatrix,
    /// Its transpose.
    widen: PackedMatrix,
    bias: Vec<f32>,
    rnn: Lstm,
    project: Linear,
    /// After the start of a sentence.
    start: (Vec<f32>, Outlook),
}

/// What the model expects after some words: what comes out of it, in 8 bits.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    /// For frequent words, then for the others.
    values: Vec<i8>,
    scales: [f32; 2],
}

impl Outlook {
    /// Becomes a copy of `other`, in the memory that it has.
    pub fn copy_from(&mut self, other: &Self) {
        self.values.clone_from(&other.values);
        self.scales = other.scales;
    }

    /// Bytes held.
    pub fn num_bytes(&self) -> usize {
        self.values.capacity()
    }
}

/// Buffers of one caller, kept between steps.
#[derive(Debug, Default)]
pub struct NeuralScratch {
    inputs: Vec<f32>,
    rare: Vec<f32>,
    gates: Vec<f32>,
    next: Vec<f32>,
    outputs: Vec<f32>,
    activations: Activations,
}

/// Brings `x` to 8 bits and gives what one unit is worth.
pub(crate) fn to_bytes(x: &[f32], out: &mut [i8]) -> f32 {
    let most = x.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    let scale = if most > 0.0 && most.is_finite() { most / LARGEST } else { 1.0 };
    let inverse = scale.recip();
    for (to, v) in out.iter_mut().zip(x) {
        // The last byte of the sum is the rounded value.
        *to = (v * inverse + WHOLE).to_bits() as i8;
    }
    scale
}

impl NeuralLm {
    /// Takes the bytes of a `word_lm.safetensors`; `path` is theirs in messages.
    ///
    /// # Errors
    /// [`Error::Model`] if they are no such file or damaged; get the model folder again.
    pub fn from_bytes(path: &Path, bytes: &[u8], precision: Precision) -> Result<Self> {
        let weights = Weights::parse(path, bytes, precision)?;
        let refuse = |reason: &str| Err(Error::model(path, reason));
        let lexicon = Weights::remark(bytes, path, "lexicon")?;
        let Ok(fingerprint) = u64::from_str_radix(&lexicon, 16) else {
            return refuse("the fingerprint of its lexicon is no number");
        };
        let frequent = Vectors::load(&weights, "frequent.weight")?;
        let rare = Vectors::load(&weights, "rare.weight")?;
        let count = frequent.len() + rare.len();
        if !(MARKS + 1..=1 << 16).contains(&count) {
            return refuse("too few words or more than 65536");
        }
        let places = weights.numbers("places", count)?;
        if places.iter().any(|place| usize::from(*place) >= count) {
            return refuse("tensor places: a word has no vector");
        }
        let [_, hidden] = weights.sides("project.weight")?;
        let (full, few) = (frequent.width, rare.width);
        let transposed = weights.tensor("widen.weight", &[few, full])?;
        let widened: Vec<f32> =
            (0..full).flat_map(|i| transposed.iter().skip(i).step_by(full).copied()).collect();
        let mut model = Self {
            num_words: (count - MARKS) as u32,
            fingerprint,
            places,
            narrow: PackedMatrix::pack(&transposed, few, full),
            widen: PackedMatrix::pack(&widened, full, few),
            bias: weights.tensor("bias", &[count])?,
            rnn: weights.lstm("rnn", full, hidden)?,
            project: weights.linear("project", full, hidden)?,
            frequent,
            rare,
            start: (Vec::new(), Outlook::default()),
        };
        let mut scratch = NeuralScratch::default();
        let begin = model.num_words + 1;
        model.step(&vec![0.0; model.state_size()], &[begin], &mut scratch);
        let mut outlook = Outlook::default();
        model.outlook_into(0, &scratch, &mut outlook);
        model.start = (model.state(0, &scratch).to_vec(), outlook);
        Ok(model)
    }

    /// Words, without the sentence marks and the unknown word.
    pub fn num_words(&self) -> usize {
        self.num_words as usize
    }

    /// Equals [`crate::lexicon::Lexicon::fingerprint`] of the lexicon that the model was made with.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Values of a state.
    pub fn state_size(&self) -> usize {
        2 * self.rnn.hidden()
    }

    /// State and outlook at the start of a sentence.
    pub fn start(&self) -> (&[f32], &Outlook) {
        (&self.start.0, &self.start.1)
    }

    /// Log-probability of `word`; none, if the model does not know it.
    pub fn log_prob(&self, outlook: &Outlook, word: u32) -> Option<f32> {
        (word < self.num_words).then(|| self.logit(outlook, word))
    }

    /// Log-probability that the sentence ends.
    pub fn end(&self, outlook: &Outlook) -> f32 {
        self.logit(outlook, self.num_words + 2)
    }

    fn logit(&self, outlook: &Outlook, word: u32) -> f32 {
        let (full, few) = outlook.values.split_at(self.frequent.width);
        let place = usize::from(self.places[word as usize]);
        let product = match place.checked_sub(self.frequent.len()) {
            None => self.frequent.times(place, full, outlook.scales[0]),
            Some(place) => self.rare.times(place, few, outlook.scales[1]),
        };
        // The normaliser is only nearly 1.
        (product + self.bias[word as usize]).min(0.0)
    }

    /// Reads `words` `[rows]`, each after its row of `states` `[rows, state_size]`; [`state`](Self::state) and
    /// [`outlook_into`](Self::outlook_into) have what comes of it. Rows do not depend on one another.
    pub fn step(&self, states: &[f32], words: &[u32], scratch: &mut NeuralScratch) {
        let NeuralScratch { inputs, rare, gates, next, outputs, activations } = scratch;
        let (rows, full, few) = (words.len(), self.frequent.width, self.rare.width);
        inputs.clear();
        inputs.resize(rows * full, 0.0);
        for (word, input) in words.iter().zip(inputs.chunks_exact_mut(full)) {
            let known = if *word < self.num_words + MARKS as u32 { *word } else { self.num_words };
            let place = usize::from(self.places[known as usize]);
            let (vectors, place) = match place.checked_sub(self.frequent.len()) {
                None => (&self.frequent, place),
                Some(place) => (&self.rare, place),
            };
            let (row, scale) = vectors.row(place);
            let wide = row.iter().map(|v| f32::from(*v) * scale);
            if std::ptr::eq(vectors, &raw const self.frequent) {
                input.iter_mut().zip(wide).for_each(|(to, v)| *to = v);
            } else {
                rare.clear();
                rare.extend(wide);
                let row = Rows { data: rare, stride: few };
                let to = RowsMut { data: input, stride: full };
                self.widen.accumulate(kernels(), 1, row, to, activations);
            }
        }
        gates.resize(rows * 4 * self.rnn.hidden(), 0.0);
        next.resize(rows * self.state_size(), 0.0);
        self.rnn.project_into(rows, Rows { data: inputs, stride: full }, gates, activations);
        let old = Rows { data: states, stride: self.state_size() };
        let mut new = RowsMut { data: next, stride: self.state_size() };
        self.rnn.step_into(rows, gates, old, &mut new, activations);
        outputs.clear();
        outputs.resize(rows * (full + few), 0.0);
        let (first, second) = outputs.split_at_mut(rows * full);
        let hidden = Rows { data: next, stride: self.state_size() };
        self.project.forward_rows_into(rows, hidden, first, activations);
        let to = RowsMut { data: second, stride: few };
        self.narrow.accumulate(
            kernels(),
            rows,
            Rows { data: first, stride: full },
            to,
            activations,
        );
    }

    /// The state after row `row` of the last step.
    pub fn state<'a>(&self, row: usize, scratch: &'a NeuralScratch) -> &'a [f32] {
        &scratch.next[row * self.state_size()..][..self.state_size()]
    }

    /// The outlook after row `row` of the last step.
    pub fn outlook_into(&self, row: usize, scratch: &NeuralScratch, outlook: &mut Outlook) {
        let (full, few) = (self.frequent.width, self.rare.width);
        let rows = scratch.next.len() / self.state_size();
        let (first, second) = scratch.outputs.split_at(rows * full);
        outlook.values.resize(full + few, 0);
        let (wide, narrow) = outlook.values.split_at_mut(full);
        outlook.scales = [
            to_bytes(&first[row * full..][..full], wide),
            to_bytes(&second[row * few..][..few], narrow),
        ];
    }
}

#[cfg(test)]
impl NeuralLm {
    /// The one of tests/golden, of the words a to f.
    pub fn tiny(precision: Precision) -> Self {
        let bytes = include_bytes!("../../../tests/golden/word-lm-tiny.safetensors");
        Self::from_bytes(Path::new("word_lm.safetensors"), bytes, precision).unwrap()
    }

    /// The same, computed as it is stored.
    pub fn tiny_as_stored() -> Self {
        Self::tiny(Precision::Stored)
    }
}
