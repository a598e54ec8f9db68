//! How a [`Listener`] goes on, step by step, between the network's turns.

use std::sync::Arc;

use super::{Listener, Mark, Next};
use crate::endpoint::{AfterEndpoint, Rule};
use crate::error::Result;
use crate::features::FeatureExtractor;
use crate::transcript::{Event, Final, to_ms};

impl Listener {
    /// Goes on until the network is wanted; see [`Poll`](crate::engine::Poll).
    pub(crate) fn go_on(&mut self, features: &mut FeatureExtractor) -> bool {
        loop {
            if self.session.wants_network(features) {
                return true;
            }
            let changed = self.session.take_in();
            if changed && self.partials && self.next != Next::EndSegment {
                self.events.push_back(Event::Partial(self.session.partial()));
            }
            if self.gate.as_mut().is_some_and(|gate| gate.replay(&mut self.session)) {
                continue;
            }
            match std::mem::replace(&mut self.next, Next::Hear) {
                Next::Over => {
                    self.next = Next::Over;
                    return false;
                }
                Next::Judge => self.judge(),
                Next::Obey(mark) => self.obey(mark),
                Next::EndSegment => self.end_segment(),
                Next::EndStream => self.end_stream(),
                Next::Hear => match self.hear() {
                    Ok(true) => {}
                    Ok(false) => return false,
                    Err(error) => {
                        self.events.push_back(Event::Error(Arc::new(error)));
                        self.next = Next::Over;
                    }
                },
            }
        }
    }

    /// Hears the next step, or what comes before a mark; whether there was anything.
    fn hear(&mut self) -> Result<bool> {
        let mark = self.marks.front().copied();
        let until = mark.map_or(self.accepted, |(at, _)| at);
        let left = (until - self.heard) as usize;
        let step = self.gate.as_ref().map_or(left.max(1), |gate| gate.step);
        if left >= step {
            self.hear_step(step)?;
            return Ok(true);
        }
        let Some((_, mark)) = mark else { return Ok(false) };
        self.marks.pop_front();
        self.next = Next::Obey(mark);
        self.hear_rest(left)?;
        Ok(true)
    }

    fn hear_step(&mut self, step: usize) -> Result<()> {
        let samples = &self.pending[self.taken..self.taken + step];
        self.heard += step as u64;
        self.taken += step;
        let Some(gate) = &mut self.gate else {
            self.session.hear(samples);
            return Ok(());
        };
        gate.voice.accept(samples)?;
        if gate.asleep {
            gate.keep(samples);
            if gate.voice.is_open() {
                self.wake();
            }
            return Ok(());
        }
        self.session.hear(samples);
        self.next = Next::Judge;
        Ok(())
    }

    /// Hears what is less than a step before a mark; wakes the network for what sleeps in the pre-roll though it might be speech.
    fn hear_rest(&mut self, left: usize) -> Result<()> {
        let Some(gate) = &mut self.gate else { return Ok(()) };
        let samples = &self.pending[self.taken..self.taken + left];
        self.heard += left as u64;
        self.taken += left;
        if left > 0 {
            // The detector wants a whole step.
            let mut step = samples.to_vec();
            step.resize(gate.step, 0.0);
            gate.voice.accept(&step)?;
            if gate.asleep {
                gate.keep(samples);
            } else {
                self.session.hear(samples);
            }
        }
        if gate.asleep && gate.voice.suspects() {
            self.wake();
        }
        Ok(())
    }

    /// The network is to hear what was kept for it.
    fn wake(&mut self) {
        let Some(gate) = &mut self.gate else { return };
        gate.asleep = false;
        self.segment_start = self.heard - gate.pre_roll.len() as u64;
        self.session.skip(self.segment_start - self.session.num_samples());
    }

    /// Ends the segment if it is over.
    fn judge(&mut self) {
        let segment_s = self.seconds(self.heard - self.segment_start) as f32;
        let Some(gate) = &mut self.gate else { return };
        let Some(rule) = gate.rule(&self.session, segment_s) else { return };
        if rule == Rule::Utterance {
            let result = self.session.take_result();
            return self.tell(result);
        }
        gate.asleep = gate.options.sleep && !gate.voice.is_open();
        gate.pre_roll.clear();
        match gate.options.after {
            AfterEndpoint::Keep => {
                self.session.settle();
                self.end_segment();
            }
            AfterEndpoint::Reset => {
                self.session.finish();
                self.next = Next::EndSegment;
            }
        }
    }

    fn obey(&mut self, mark: Mark) {
        let asleep = self.is_asleep();
        match mark {
            Mark::Finish if asleep => self.next = Next::Over,
            Mark::Finish => {
                self.session.finish();
                self.next = Next::EndStream;
            }
            Mark::Settle if asleep => {}
            Mark::Settle => {
                self.session.settle();
                self.end_segment();
            }
            Mark::Cut => {
                if let Some(gate) = &mut self.gate {
                    gate.voice.reset();
                    gate.asleep = gate.options.sleep;
                }
                if !asleep {
                    self.session.finish();
                    self.next = Next::EndSegment;
                }
            }
        }
    }

    /// Tells what was settled, and begins the next segment.
    fn end_segment(&mut self) {
        let result = self.session.result(self.alternatives);
        self.tell(result);
        self.session.next_segment();
        self.session.skip(self.heard - self.session.num_samples());
    }

    fn end_stream(&mut self) {
        let result = self.session.result(self.alternatives);
        if self.gate.is_none() || !result.text.is_empty() {
            let result = self.counted(result);
            self.events.push_back(Event::Final(result));
        }
        self.next = Next::Over;
    }

    /// Tells of an endpoint, and of the segment before it if it has words.
    fn tell(&mut self, result: Final) {
        self.events.push_back(Event::Endpoint { time: to_ms(self.seconds(self.heard)) });
        if !result.text.is_empty() {
            let result = self.counted(result);
            self.events.push_back(Event::Final(result));
        }
        self.segment_start = self.heard;
    }

    fn counted(&mut self, result: Final) -> Final {
        // A word that was not yet confirmed when the segment before was cut began in that one.
        let first = result.result.first().map_or(f64::INFINITY, |word| word.start);
        let (segment, start) = (self.segment, to_ms(self.seconds(self.segment_start)).min(first));
        self.segment += 1;
        Final { segment, start, ..result }
    }
}
