//! [`Session`], the state of one stream: no threads, no files, no clock, and no buffer that an [`Engine`](crate::Engine) can have.

mod begin;
mod stages;
mod words;
mod written;

use crate::attention::{KeyValues, Window};
use crate::audio::Intake;
use crate::config::LatencyMode;
use crate::error::{Error, Result};
use crate::features::FeatureState;
use crate::model::EncoderState;
use crate::recognizer::Recognizer;
use crate::search::{Constraint, Search, Word};
use crate::text::{Sentence, Shaping};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// At the end of a segment; audio may go on.
    Settled,
    /// The stream is over and its padding accepted; the network has not yet heard all.
    Ending,
    /// The best words were settled on.
    Finished,
}

impl Phase {
    fn has_ended(self) -> bool {
        matches!(self, Self::Ending | Self::Finished)
    }
}

/// One stream, as a state: it accepts samples, an [`Engine`](crate::Engine) computes what it has, and then it has words.
///
/// Once its buffers have grown to their working size it allocates nothing but the list of confirmed words, which
/// [`Session::take_confirmed`] empties.
///
/// ```no_run
/// # fn main() -> vivavoce::Result<()> {
/// use vivavoce::{Engine, Recognizer, StreamOptions};
///
/// let recognizer = Recognizer::load("models/en-small")?;
/// let mut engine = Engine::new(&recognizer);
/// let mut session = recognizer.session(&StreamOptions::default())?;
/// session.accept_waveform(44_100, &[0.0; 44_100])?;
/// engine.advance(&mut [&mut session])?;
/// println!("{}", session.partial().partial);
/// session.finish();
/// engine.advance(&mut [&mut session])?;
/// println!("{}", session.result(0).text);
/// # Ok(())
/// # }
/// ```
pub struct Session {
    recognizer: Recognizer,
    intake: Intake,
    features: FeatureState,
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
    /// Whether the words have changed since that was asked.
    changed: bool,
    samples: u64,
    /// Samples of the stream before the first of these.
    skipped: u64,
    /// Confirmed words at the moment when the end of the stream settled the others.
    settled: Option<usize>,
    phase: Phase,
    window: Window,
    mode: LatencyMode,
    constraint: Constraint,
    /// Whether ids of words are the lexicon's rather than tokens.
    lexical: bool,
    shaping: Shaping,
    /// What the words to come do with that of the words before.
    sentence: Sentence,
    /// Where the last word ends that was taken; 0 at the start of a stream.
    taken_end_s: f64,
}

impl Session {
    /// Rate of the samples that the network hears.
    #[doc(hidden)]
    pub fn sample_rate_hz(&self) -> u32 {
        self.recognizer.config().features.sample_rate_hz
    }

    /// Block geometry in use.
    #[doc(hidden)]
    pub fn latency_mode(&self) -> LatencyMode {
        self.mode
    }

    /// Blocks computed since the start of the stream.
    #[doc(hidden)]
    pub fn num_blocks(&self) -> usize {
        self.block
    }

    /// Audio accepted, in seconds, without the padding at the end.
    #[doc(hidden)]
    pub fn time_s(&self) -> f64 {
        self.samples as f64 / f64::from(self.sample_rate_hz())
    }

    /// Samples accepted, without the padding at the end.
    #[doc(hidden)]
    pub fn num_samples(&self) -> u64 {
        self.samples
    }

    /// Accepts samples in [-1, 1] and their rate, 8 to 192 kHz, which the next [`Engine::advance`](crate::Engine::advance) hears;
    /// they are resampled to the rate of the model, unless they have it. The result does not depend on how the samples are split
    /// into calls.
    ///
    /// # Errors
    /// [`Error::Samples`] if one is not finite or the rate out of range (nothing of the call is accepted then), [`Error::Usage`]
    /// after [`Session::finish`].
    pub fn accept_waveform(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()> {
        let fix = match self.phase {
            Phase::Open => None,
            Phase::Settled => Some("audio after settle; call next_segment first"),
            Phase::Ending | Phase::Finished => Some("audio after finish; call reset first"),
        };
        if let Some(fix) = fix {
            return Err(Error::Usage { reason: fix.into() });
        }
        let heard = self.intake.accept(rate_hz, samples)?;
        self.features.accept(heard)?;
        self.samples += heard.len() as u64;
        Ok(())
    }

    /// Accepts samples that were checked, in an open stream.
    pub(crate) fn hear(&mut self, samples: &[f32]) {
        self.features.accept_checked(samples);
        self.samples += samples.len() as u64;
    }

    /// The stream is over: accepts the padding of the model, so that the last word comes out; the next
    /// [`Engine::advance`](crate::Engine::advance) settles on the best words. Does nothing the second time.
    pub fn finish(&mut self) {
        if self.phase.has_ended() {
            return;
        }
        let rest = self.intake.flush();
        self.features.accept_checked(rest);
        self.samples += rest.len() as u64;
        let padding_ms = self.recognizer.config().streaming.tail_padding_ms;
        self.features.accept_silence((padding_ms * self.sample_rate_hz() as f32 / 1000.0) as usize);
        self.phase = Phase::Ending;
    }

    /// Takes the words after the network has heard all that it can; settles on the best ones if that was the end. Whether the words
    /// have changed.
    pub(crate) fn take_in(&mut self) -> bool {
        let changed = if self.phase == Phase::Ending {
            self.phase = Phase::Finished;
            self.decide()
        } else {
            self.collect()
        };
        self.changed |= changed;
        changed
    }

    /// Whether the words have changed since the last call.
    #[doc(hidden)]
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
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
    /// belongs to the next segment. Go on with [`Session::next_segment`].
    #[doc(hidden)]
    pub fn settle(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Settled;
            self.changed |= self.decide();
        }
    }

    /// Tells the times of a stream of which so many samples came before this session's first.
    pub(crate) fn skip(&mut self, samples: u64) {
        self.skipped = samples;
    }

    /// Begins a new segment in the same stream: search starts afresh, the encoder remembers. Times go on. After
    /// [`Session::finish`] it is a [`Session::reset`], since the encoder has heard the padding.
    #[doc(hidden)]
    pub fn next_segment(&mut self) {
        if self.phase.has_ended() {
            self.reset();
            return;
        }
        self.search.reset();
        self.confirmed.clear();
        self.tentative.clear();
        self.ran = false;
        self.first_block = self.block;
        self.settled = None;
        self.sentence = Sentence::Begins;
        self.phase = Phase::Open;
    }

    /// Back to the start of a new stream with the same options; memory is kept.
    pub fn reset(&mut self) {
        self.intake.reset();
        self.features.reset();
        self.recognizer.model.reset_encoder(&mut self.encoder);
        self.memory.reset();
        self.search.reset();
        self.frames.clear();
        self.confirmed.clear();
        self.tentative.clear();
        self.encoded = 0;
        self.ran = false;
        self.changed = false;
        self.block = 0;
        self.first_block = 0;
        self.samples = 0;
        self.taken_end_s = 0.0;
        self.settled = None;
        self.sentence = Sentence::Begins;
        self.phase = Phase::Open;
    }

    /// Takes the words from search if there was a new block; whether they differ from those before.
    pub(crate) fn collect(&mut self) -> bool {
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
    #[doc(hidden)]
    pub fn confirmed(&self) -> &[Word] {
        &self.confirmed
    }

    /// Words after them that may still change.
    #[doc(hidden)]
    pub fn tentative(&self) -> &[Word] {
        &self.tentative
    }

    /// Moves the confirmed words to the end of `out`, so that a stream of any length takes bounded memory. Later results begin
    /// after them.
    #[doc(hidden)]
    pub fn take_confirmed(&mut self, out: &mut Vec<Word>) {
        self.settled = self.settled.map(|_| 0);
        if let Some(word) = self.confirmed.last() {
            self.taken_end_s = self.span_s(*word).1;
        }
        out.append(&mut self.confirmed);
    }

    /// Bytes that this stream holds besides the shared model and the engine.
    #[doc(hidden)]
    pub fn num_bytes(&self) -> usize {
        let words = [&self.confirmed, &self.tentative, &self.before];
        self.encoder.num_bytes()
            + self.memory.num_bytes()
            + self.search.num_bytes()
            + self.intake.num_bytes()
            + self.features.num_bytes()
            + self.frames.capacity() * size_of::<f32>()
            + words.iter().map(|w| w.capacity() * size_of::<Word>()).sum::<usize>()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("samples", &self.samples)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}
