//! Replays clips in many streams and notes when what comes out.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use vivavoce::audio::Resampler;
use vivavoce::metrics::{Operation, align};
use vivavoce::{Engine, Recognizer, Session, StageTimes, StreamOptions};

use super::clips::{Clip, Spoken};

/// How to replay.
pub struct Plan {
    pub streams: usize,
    /// As fast as it was spoken.
    pub paced: bool,
    /// Audio of each stream; none: every clip once.
    pub seconds: Option<f64>,
    pub chunk_ms: usize,
    pub seed: u64,
}

/// What one replay gave. Latencies in seconds, in no order.
#[derive(Debug, Default)]
pub struct Measured {
    pub audio_s: f64,
    pub wall_s: f64,
    pub cpu_s: f64,
    pub resample: Duration,
    pub stages: StageTimes,
    /// From the arrival of the chunk that completed a block to its words.
    pub block_latency: Vec<f64>,
    /// From the start of the first word (where unknown, of the audio) to the first partial result.
    pub first_partial: Vec<f64>,
    /// From the end of a word to the moment since which it stands, for words that are right.
    pub word_latency: Vec<f64>,
    pub reference_words: usize,
    /// From the end of the audio to the final result.
    pub final_after_end: Vec<f64>,
    /// Words shown and taken back, and words of the final results.
    pub unstable_words: usize,
    pub final_words: usize,
    /// How late a chunk was taken.
    pub queue_lag: Vec<f64>,
    pub bytes_per_stream: usize,
}

struct Random(u64);

impl Random {
    /// Below `n`.
    fn next(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// One clip on its way.
struct Stream {
    session: Session,
    clip: usize,
    resampler: Resampler,
    /// First sample that is heard, and the next one.
    first: usize,
    next: usize,
    last: usize,
    /// When the first sample is spoken, since the start of the replay.
    begin_s: f64,
    blocks: usize,
    /// Words shown, and since when.
    shown: Vec<(u32, f64)>,
    spoke: bool,
    left_s: f64,
    due_s: f64,
}

fn clock() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

fn since(start: Duration) -> f64 {
    clock().saturating_sub(start).as_secs_f64()
}

struct Replay<'a> {
    plan: &'a Plan,
    clips: &'a [Clip],
    options: &'a StreamOptions,
    recognizer: &'a Recognizer,
    engine: Engine,
    random: Random,
    next_clip: usize,
    out: Measured,
}

pub fn run(
    recognizer: &Recognizer,
    clips: &[Clip],
    options: &StreamOptions,
    plan: &Plan,
) -> anyhow::Result<Measured> {
    let mut engine = Engine::new(recognizer);
    engine.measure(clock);
    let (random, out) = (Random(plan.seed + 1), Measured::default());
    let mut replay = Replay { plan, clips, options, recognizer, engine, random, next_clip: 0, out };
    let mut streams = Vec::new();
    for _ in 0..plan.streams {
        let left_s = plan.seconds.unwrap_or(f64::INFINITY);
        let begin_s = replay.random.next(1000) as f64 / 1000.0 * f64::from(u8::from(plan.paced));
        streams.extend(replay.begin(begin_s, left_s, plan.streams > 1)?);
    }
    let (start, cpu) = (clock(), ThreadTime::now());
    while !streams.is_empty() {
        replay.round(&mut streams, start)?;
    }
    let mut out = replay.out;
    out.wall_s = since(start);
    out.cpu_s = cpu.elapsed().as_secs_f64();
    out.stages = replay.engine.stage_times();
    Ok(out)
}

impl Replay<'_> {
    /// The next clip of a stream, from a random place if `anywhere`; none if there is nothing left to hear.
    fn begin(
        &mut self,
        begin_s: f64,
        left_s: f64,
        anywhere: bool,
    ) -> anyhow::Result<Option<Stream>> {
        let once = self.plan.seconds.is_none();
        if left_s <= 0.0 || once && self.next_clip >= self.clips.len() {
            return Ok(None);
        }
        let random = self.plan.streams > 1 && !once;
        let clip = if random {
            self.random.next(self.clips.len())
        } else {
            self.next_clip % self.clips.len()
        };
        self.next_clip += 1;
        let Clip { samples, rate_hz, .. } = &self.clips[clip];
        let first = if anywhere && !once { self.random.next(samples.len() / 2) } else { 0 };
        let most =
            if left_s.is_finite() { (left_s * f64::from(*rate_hz)) as usize } else { usize::MAX };
        let last = samples.len().min(first.saturating_add(most.max(1)));
        let session = self.recognizer.session(self.options)?;
        let to_hz = self.recognizer.sample_rate_hz();
        let heard_s = (last - first) as f64 / f64::from(*rate_hz);
        Ok(Some(Stream {
            session,
            clip,
            resampler: Resampler::new(*rate_hz, to_hz)?,
            first,
            next: first,
            last,
            begin_s,
            blocks: 0,
            shown: Vec::new(),
            spoke: false,
            left_s: left_s - heard_s,
            due_s: 0.0,
        }))
    }

    /// One chunk of every stream that has one, then their blocks as one batch.
    fn round(&mut self, streams: &mut Vec<Stream>, start: Duration) -> anyhow::Result<()> {
        let now_s = since(start);
        let (mut fed, mut earliest_s) = (Vec::new(), f64::INFINITY);
        let mut heard = Vec::new();
        for (i, stream) in streams.iter_mut().enumerate() {
            let Clip { samples, rate_hz, .. } = &self.clips[stream.clip];
            let rate = f64::from(*rate_hz);
            let step = (*rate_hz as usize * self.plan.chunk_ms / 1000).max(1);
            let end = (stream.next + step).min(stream.last);
            stream.due_s = stream.begin_s + (end - stream.first) as f64 / rate;
            if self.plan.paced && stream.due_s > now_s {
                earliest_s = earliest_s.min(stream.due_s);
                continue;
            }
            let before = clock();
            heard.clear();
            stream.resampler.process_into(&samples[stream.next..end], &mut heard)?;
            if end == stream.last {
                stream.resampler.finish_into(&mut heard)?;
            }
            self.out.resample += clock().saturating_sub(before);
            stream.session.accept_waveform(self.recognizer.sample_rate_hz(), &heard)?;
            self.out.audio_s += (end - stream.next) as f64 / rate;
            stream.next = end;
            if end == stream.last {
                stream.session.finish();
            }
            if self.plan.paced {
                self.out.queue_lag.push(now_s - stream.due_s);
            }
            fed.push(i);
        }
        if fed.is_empty() {
            let wait_s = (earliest_s - since(start)).max(0.0);
            std::thread::sleep(Duration::from_secs_f64(wait_s));
            return Ok(());
        }
        let before_s = since(start);
        let mut sessions: Vec<_> = streams.iter_mut().map(|stream| &mut stream.session).collect();
        self.engine.advance(&mut sessions)?;
        let after_s = since(start);
        for i in fed.into_iter().rev() {
            let stream = &mut streams[i];
            // Unpaced, a chunk arrives when it is asked for.
            let took_s = after_s - if self.plan.paced { stream.due_s } else { before_s };
            self.note(stream, took_s);
            if stream.next == stream.last {
                let (begin_s, left_s) = (stream.due_s, stream.left_s);
                self.end(&streams.swap_remove(i), took_s);
                streams.extend(self.begin(begin_s, left_s, false)?);
            }
        }
        Ok(())
    }

    /// Notes what came out of a stream `took_s` after its chunk arrived.
    fn note(&mut self, stream: &mut Stream, took_s: f64) {
        let changed = stream.session.take_changed();
        let session = &stream.session;
        if session.num_blocks() > stream.blocks {
            stream.blocks = session.num_blocks();
            self.out.block_latency.push(took_s);
        }
        if !changed {
            return;
        }
        let clip = &self.clips[stream.clip];
        let rate = f64::from(clip.rate_hz);
        // In the time of the audio.
        let at_s = (stream.next - stream.first) as f64 / rate + took_s;
        let words = || session.confirmed().iter().chain(session.tentative()).map(|w| w.id);
        let same = stream.shown.iter().zip(words()).take_while(|(a, b)| a.0 == *b).count();
        self.out.unstable_words += stream.shown.len() - same;
        stream.shown.truncate(same);
        stream.shown.extend(words().skip(same).map(|id| (id, at_s)));
        if !stream.spoke && !stream.shown.is_empty() {
            stream.spoke = true;
            let offset_s = stream.first as f64 / rate;
            let first = clip.words.iter().find(|w| w.start_s >= offset_s);
            let spoken_s = first.map_or(0.0, |w| w.start_s - offset_s);
            self.out.first_partial.push(at_s - spoken_s);
        }
    }

    fn end(&mut self, stream: &Stream, took_s: f64) {
        let session = &stream.session;
        self.out.final_after_end.push(took_s);
        self.out.final_words += stream.shown.len();
        self.out.bytes_per_stream = self.out.bytes_per_stream.max(session.num_bytes());
        let clip = &self.clips[stream.clip];
        let rate = f64::from(clip.rate_hz);
        let (from_s, to_s) = (stream.first as f64 / rate, stream.last as f64 / rate);
        let spoken: Vec<&Spoken> =
            clip.words.iter().filter(|w| w.start_s >= from_s && w.end_s <= to_s).collect();
        let reference: Vec<&str> = spoken.iter().map(|w| w.word.as_str()).collect();
        let kept = session.confirmed();
        let hypothesis: Vec<&str> = kept.iter().map(|w| session.text(*w)).collect();
        self.out.reference_words += reference.len();
        for operation in align(&reference, &hypothesis) {
            if let Operation::Match(i, j) = operation
                && let Some((_, since_s)) = stream.shown.get(j)
            {
                self.out.word_latency.push(since_s - (spoken[i].end_s - from_s));
            }
        }
    }
}
