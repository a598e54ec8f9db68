//! [`Session`], the state of one stream.

use super::{Recognizer, SearchKind, SessionOptions};
use crate::attention::{KeyValues, Window};
use crate::config::{LatencyMode, ModelConfig};
use crate::error::{Error, Result};
use crate::features::{FeatureExtractor, Normalizer};
use crate::model::{EncoderState, Model, StepScratch};
use crate::search::{BeamSearch, Constraint, Greedy, Search, Word};

mod words;

/// Encoder frames computed at once, so that the buffers of a stream stay small however long a call is.
const ENCODE_FRAMES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// At the end of a segment; audio may go on.
    Settled,
    /// At the end of the stream, whose padding was heard.
    Finished,
}

/// One stream. Once its buffers have grown to their working size it allocates nothing but the list of confirmed words, which
/// [`Session::take_confirmed`] empties.
pub struct Session {
    recognizer: Recognizer,
    extractor: FeatureExtractor,
    encoder: EncoderState,
    memory: KeyValues,
    scratch: StepScratch,
    search: Box<dyn Search>,
    /// Feature frames not yet encoded, `[t, mel]`.
    frames: Vec<f32>,
    encoded: Vec<f32>,
    confirmed: Vec<Word>,
    tentative: Vec<Word>,
    before: Vec<Word>,
    block: usize,
    /// Block at which search began.
    first_block: usize,
    samples: u64,
    /// Confirmed words at the moment when the end of the stream settled the others.
    settled: Option<usize>,
    phase: Phase,
    window: Window,
    mode: LatencyMode,
    /// Whether ids of words are the lexicon's rather than tokens.
    lexical: bool,
}

impl Session {
    pub(super) fn new(recognizer: &Recognizer, options: &SessionOptions) -> Result<Self> {
        let mode = recognizer.config().latency_mode(options.latency.as_deref())?;
        let mut search = recognizer.config().search.clone();
        search.beam_size = options.beam_size.unwrap_or(search.beam_size);
        search.lm_weight = options.lm_weight.unwrap_or(search.lm_weight);
        search.word_bonus = options.word_bonus.unwrap_or(search.word_bonus);
        search.end_of_block_bias = options.end_of_block_bias.unwrap_or(search.end_of_block_bias);
        ModelConfig { search: search.clone(), ..recognizer.config().clone() }.validate()?;
        let end = recognizer.tokens.end_of_block();
        let lexical = options.search == SearchKind::Beam;
        let search: Box<dyn Search> = match options.search {
            SearchKind::Greedy => Box::new(Greedy::new(&search, end)),
            SearchKind::Tokens => Box::new(BeamSearch::new(&search, Constraint::Free, end)),
            SearchKind::Beam => {
                Box::new(BeamSearch::new(&search, recognizer.constraint.clone(), end))
            }
        };
        let (mean, inv_std) = recognizer.model.normalization();
        let features = &recognizer.config().features;
        Ok(Session {
            extractor: FeatureExtractor::new(features, Normalizer::new(mean, inv_std)?)?,
            encoder: recognizer.model.encoder_state(),
            memory: KeyValues::default(),
            scratch: StepScratch::default(),
            search,
            frames: Vec::new(),
            encoded: Vec::new(),
            confirmed: Vec::new(),
            tentative: Vec::new(),
            before: Vec::new(),
            block: 0,
            first_block: 0,
            samples: 0,
            settled: None,
            phase: Phase::Open,
            window: Model::window(mode),
            mode,
            lexical,
            recognizer: recognizer.clone(),
        })
    }

    /// Rate of the samples it wants.
    pub fn sample_rate_hz(&self) -> u32 {
        self.recognizer.config().features.sample_rate_hz
    }

    /// Block geometry in use.
    pub fn latency_mode(&self) -> LatencyMode {
        self.mode
    }

    /// Audio heard, without the padding at the end.
    pub fn time_s(&self) -> f32 {
        (self.samples as f64 / f64::from(self.sample_rate_hz())) as f32
    }

    /// Samples heard, without the padding at the end.
    pub fn num_samples(&self) -> u64 {
        self.samples
    }

    /// Hears samples in [-1, 1] at [`Session::sample_rate_hz`]. Returns whether the words have changed. The result does not
    /// depend on how the samples are split into calls.
    ///
    /// # Errors
    /// [`Error::Samples`] if one is not finite (nothing of the call is heard then), [`Error::Usage`] after
    /// [`Session::finish`].
    pub fn accept_waveform(&mut self, samples: &[f32]) -> Result<bool> {
        let fix = match self.phase {
            Phase::Open => None,
            Phase::Settled => Some("audio after settle; call next_segment first"),
            Phase::Finished => Some("audio after finish; call reset first"),
        };
        if let Some(fix) = fix {
            return Err(Error::Usage { reason: fix.into() });
        }
        self.extractor.accept_into(samples, &mut self.frames)?;
        self.samples += samples.len() as u64;
        Ok(self.advance(false))
    }

    /// The stream is over: hears the padding of the model, so that the last word comes out, and settles on the best words.
    /// Returns whether the words have changed. Does nothing the second time.
    ///
    /// # Errors
    /// None at present.
    pub fn finish(&mut self) -> Result<bool> {
        if self.phase == Phase::Finished {
            return Ok(false);
        }
        let padding_ms = self.recognizer.config().streaming.tail_padding_ms;
        let padding = (padding_ms * self.sample_rate_hz() as f32 / 1000.0) as usize;
        let silence = [0.0; 256];
        let mut left = padding;
        while left > 0 {
            let n = left.min(silence.len());
            self.extractor.accept_into(&silence[..n], &mut self.frames)?;
            left -= n;
        }
        self.phase = Phase::Finished;
        let changed = self.advance(true);
        self.settled = self.settled.or(Some(self.confirmed.len()));
        self.search.finish();
        Ok(self.collect() || changed)
    }

    /// A segment is over: settles on the best words of the blocks that were run, without padding; what has not yet filled a block
    /// belongs to the next segment. Returns whether the words have changed. Go on with [`Session::next_segment`].
    pub fn settle(&mut self) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.phase = Phase::Settled;
        self.settled = Some(self.confirmed.len());
        self.search.finish();
        self.collect()
    }

    /// Begins a new segment in the same stream: search starts afresh, the encoder remembers. Times go on. After
    /// [`Session::finish`] it is a [`Session::reset`], since the encoder has heard the padding.
    pub fn next_segment(&mut self) {
        if self.phase == Phase::Finished {
            self.reset();
            return;
        }
        self.search.reset();
        self.confirmed.clear();
        self.tentative.clear();
        self.first_block = self.block;
        self.settled = None;
        self.phase = Phase::Open;
    }

    /// Back to the start of a new stream with the same options; memory is kept.
    pub fn reset(&mut self) {
        self.extractor.reset();
        self.recognizer.model.reset_encoder(&mut self.encoder);
        self.memory.reset();
        self.search.reset();
        self.frames.clear();
        self.confirmed.clear();
        self.tentative.clear();
        self.block = 0;
        self.first_block = 0;
        self.samples = 0;
        self.settled = None;
        self.phase = Phase::Open;
    }

    /// Encodes once a block is complete, so that the weights are read once a block, then runs every block that is ready.
    fn advance(&mut self, ended: bool) -> bool {
        let model = &self.recognizer.model;
        let held = self.frames.len() / model.feature_dim() / model.config().subsampling();
        // An upper bound: frames that wait inside the encoder's state can complete one more.
        let possible = self.memory.num_frames() + held + 1;
        if !ended && !self.window.is_ready(self.block, possible, false) {
            return false;
        }
        let mut ran = false;
        let piece = model.feature_dim() * model.config().subsampling() * ENCODE_FRAMES;
        let frames = std::mem::take(&mut self.frames);
        for frames in frames.chunks(piece) {
            let model = &self.recognizer.model;
            self.encoded.clear();
            model.encode_into(&mut self.encoder, frames, &mut self.encoded);
            model.project_into(&self.encoded, &mut self.memory);
            ran |= self.run_blocks(false);
        }
        self.frames = frames;
        self.frames.clear();
        if ended {
            ran |= self.run_blocks(true);
        }
        ran && self.collect()
    }

    /// Runs every block whose frames are there; whether there was one.
    fn run_blocks(&mut self, ended: bool) -> bool {
        let model = &self.recognizer.model;
        let first = self.block;
        while self.window.is_ready(self.block, self.memory.num_frames(), ended) {
            let mut scorer =
                model.block_scorer(&self.memory, self.window, self.block, &mut self.scratch);
            self.search.advance_block(&mut scorer, self.mode.max_tokens_per_block);
            self.block += 1;
            self.memory.discard_before(self.window.first_visible(self.block));
        }
        self.block > first
    }

    /// Takes the words from search; whether they differ from those before.
    fn collect(&mut self) -> bool {
        let known = self.confirmed.len();
        std::mem::swap(&mut self.before, &mut self.tentative);
        self.search.take_confirmed(&mut self.confirmed);
        self.tentative.clear();
        self.search.tentative(&mut self.tentative);
        let now = self.confirmed[known..].iter().chain(&self.tentative).map(|w| w.id);
        self.confirmed.len() != known || !now.eq(self.before.iter().map(|w| w.id))
    }

    /// Words that stay, since the start of the stream or the last [`Session::take_confirmed`].
    pub fn confirmed(&self) -> &[Word] {
        &self.confirmed
    }

    /// Words after them that may still change.
    pub fn tentative(&self) -> &[Word] {
        &self.tentative
    }

    /// Moves the confirmed words to the end of `out`, so that a stream of any length takes bounded memory. Later results begin
    /// after them.
    pub fn take_confirmed(&mut self, out: &mut Vec<Word>) {
        self.settled = self.settled.map(|_| 0);
        out.append(&mut self.confirmed);
    }

    /// Bytes that this stream holds besides the shared model: recurrent state, attention memory and buffers; search apart.
    pub fn num_bytes(&self) -> usize {
        let floats = self.frames.capacity() + self.encoded.capacity();
        self.encoder.num_bytes() + self.memory.num_bytes() + floats * size_of::<f32>()
    }
}
