//! [`Session`], the state of one stream.

mod stages;
mod words;

use super::workspace;
use super::{Hotwords, Recognizer, SearchKind, SessionOptions};
use crate::attention::{KeyValues, Window};
use crate::config::{LatencyMode, ModelConfig};
use crate::error::{Error, Result};
use crate::features::{FeatureExtractor, Normalizer};
use crate::model::{EncoderState, Model};
use crate::search::{BeamSearch, Constraint, Greedy, Search, TextConstraint, Word};
use crate::text::Shaping;

/// Search for a known text: wide, as there is little to choose from.
const ALIGN_BEAM: usize = 64;
const ALIGN_PRUNE_LOG_PROB: f32 = 60.0;

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
    search: Box<dyn Search>,
    /// Feature frames not yet encoded, `[t, mel]`.
    frames: Vec<f32>,
    /// How many values at the start of `frames` have been encoded.
    encoded: usize,
    confirmed: Vec<Word>,
    tentative: Vec<Word>,
    before: Vec<Word>,
    block: usize,
    /// Block at which search began.
    first_block: usize,
    /// Whether blocks have run since the words were last taken from search.
    ran: bool,
    samples: u64,
    /// Confirmed words at the moment when the end of the stream settled the others.
    settled: Option<usize>,
    phase: Phase,
    window: Window,
    mode: LatencyMode,
    constraint: Constraint,
    /// Whether ids of words are the lexicon's rather than tokens.
    lexical: bool,
    shaping: Shaping,
    /// Where the last word ends that was taken; 0 at the start of a stream.
    taken_end_s: f32,
}

impl Session {
    pub(super) fn new(recognizer: &Recognizer, options: &SessionOptions) -> Result<Self> {
        let mode = recognizer.config().latency_mode(options.latency.as_deref())?;
        let mut search = recognizer.config().search.clone();
        if let Some(beam_size) = options.beam_size {
            // More hypotheses than the model's settings have in mind want more states too.
            let times = beam_size.div_ceil(search.beam_size.max(1)).max(1);
            search.max_states = (search.max_states * times).min(beam_size);
            search.beam_size = beam_size;
        }
        search.lm_weight = options.lm_weight.unwrap_or(search.lm_weight);
        search.word_bonus = options.word_bonus.unwrap_or(search.word_bonus);
        search.prior_weight = options.prior_weight.unwrap_or(search.prior_weight);
        search.end_of_block_bias = options.end_of_block_bias.unwrap_or(search.end_of_block_bias);
        ModelConfig { search: search.clone(), ..recognizer.config().clone() }.validate()?;
        let end = recognizer.tokens.end_of_block();
        let lexical = options.search == SearchKind::Beam;
        let hotwords = options.hotwords.as_ref();
        if hotwords.is_some_and(|h| !h.fit(recognizer)) {
            let reason = "hotwords of another recognizer; make them with this one";
            return Err(Error::Usage { reason: reason.into() });
        }
        let constraint = match hotwords.map_or(&recognizer.constraint, Hotwords::constraint) {
            constraint if lexical => constraint.clone(),
            _ => Constraint::Free,
        };
        if let Some(grammar) = &options.grammar {
            return Self::with_grammar(recognizer, options, grammar, mode, search);
        }
        let bias = hotwords.map(|h| if lexical { h.words() } else { h.tokens() });
        let search: Box<dyn Search> = match options.search {
            SearchKind::Greedy => Box::new(Greedy::new(&search, end).with_bias(bias)),
            SearchKind::Tokens | SearchKind::Beam => {
                let beam = BeamSearch::new(&search, constraint.clone(), end).with_bias(bias);
                Box::new(beam.with_half_states(recognizer.model.half_states()))
            }
        };
        Self::with_search(recognizer, mode, search, constraint, lexical)
    }

    /// A stream that is said to be `text`.
    pub(super) fn aligner(
        recognizer: &Recognizer,
        text: TextConstraint,
        latency: Option<&str>,
    ) -> Result<Self> {
        let mode = recognizer.config().latency_mode(latency)?;
        let mut search = recognizer.config().search.clone();
        search.beam_size = ALIGN_BEAM;
        search.prune_log_prob = ALIGN_PRUNE_LOG_PROB;
        // Words that sound alike stand at different places.
        search.merge_tokens = 0;
        search.max_states = 0;
        let constraint = Constraint::Text(text);
        let end = recognizer.tokens.end_of_block();
        let beam = Box::new(BeamSearch::new(&search, constraint.clone(), end));
        Self::with_search(recognizer, mode, beam, constraint, true)
    }

    pub(super) fn with_search(
        recognizer: &Recognizer,
        mode: LatencyMode,
        search: Box<dyn Search>,
        constraint: Constraint,
        lexical: bool,
    ) -> Result<Self> {
        let (mean, inv_std) = recognizer.model.normalization();
        let features = &recognizer.config().features;
        Ok(Session {
            extractor: FeatureExtractor::new(features, Normalizer::new(mean, inv_std)?)?,
            encoder: recognizer.model.encoder_state(),
            memory: KeyValues::default(),
            search,
            frames: Vec::new(),
            encoded: 0,
            confirmed: Vec::new(),
            tentative: Vec::new(),
            before: Vec::new(),
            block: 0,
            first_block: 0,
            ran: false,
            samples: 0,
            settled: None,
            phase: Phase::Open,
            window: Model::window(mode),
            mode,
            constraint,
            lexical,
            shaping: Shaping::default(),
            taken_end_s: 0.0,
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

    /// Blocks computed since the start of the stream.
    pub fn num_blocks(&self) -> usize {
        self.block
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
        self.hear(samples)?;
        workspace::with(|w| w.advance(std::slice::from_mut(self)));
        Ok(self.collect())
    }

    /// Makes features of samples and leaves the rest to [`Workspace`](workspace::Workspace).
    ///
    /// # Errors
    /// As [`Session::accept_waveform`].
    pub(super) fn hear(&mut self, samples: &[f32]) -> Result<()> {
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
        Ok(())
    }

    /// The stream is over: hears the padding of the model, so that the last word comes out, and settles on the best words.
    /// Returns whether the words have changed. Does nothing the second time.
    ///
    /// # Errors
    /// None at present.
    pub fn finish(&mut self) -> Result<bool> {
        if !self.end()? {
            return Ok(false);
        }
        workspace::with(|w| w.advance(std::slice::from_mut(self)));
        Ok(self.conclude())
    }

    /// Makes features of the padding at the end; whether the stream was open.
    pub(super) fn end(&mut self) -> Result<bool> {
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
        Ok(true)
    }

    /// Takes the words after a batch; settles on the best ones if the padding was heard. Whether the words have changed.
    pub(super) fn conclude(&mut self) -> bool {
        if self.phase == Phase::Finished { self.decide() } else { self.collect() }
    }

    /// Settles on the best words of the blocks that were run.
    fn decide(&mut self) -> bool {
        let changed = self.collect();
        self.settled = self.settled.or(Some(self.confirmed.len()));
        self.search.finish();
        self.ran = true;
        self.collect() || changed
    }

    /// A segment is over: settles on the best words of the blocks that were run, without padding; what has not yet filled a block
    /// belongs to the next segment. Returns whether the words have changed. Go on with [`Session::next_segment`].
    pub fn settle(&mut self) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.phase = Phase::Settled;
        self.decide()
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
        self.ran = false;
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
        self.encoded = 0;
        self.ran = false;
        self.block = 0;
        self.first_block = 0;
        self.samples = 0;
        self.taken_end_s = 0.0;
        self.settled = None;
        self.phase = Phase::Open;
    }

    /// Takes the words from search if there was a new block; whether they differ from those before.
    pub(super) fn collect(&mut self) -> bool {
        if !std::mem::take(&mut self.ran) {
            return false;
        }
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
        if let Some(word) = self.confirmed.last() {
            self.taken_end_s = self.span_s(*word).1;
        }
        out.append(&mut self.confirmed);
    }

    /// Bytes that this stream holds besides the shared model and the buffers of its thread.
    pub fn num_bytes(&self) -> usize {
        let words = [&self.confirmed, &self.tentative, &self.before];
        self.encoder.num_bytes()
            + self.memory.num_bytes()
            + self.search.num_bytes()
            + self.extractor.num_bytes()
            + self.frames.capacity() * size_of::<f32>()
            + words.iter().map(|w| w.capacity() * size_of::<Word>()).sum::<usize>()
    }
}
