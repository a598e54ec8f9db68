//! A stream of any rate, heard as it comes.

use vivavoce::transcript::Event;
use vivavoce::{Error, Listener, Result, StreamOptions};

use crate::options::Options;
use crate::shared::Shared;

/// Seconds of audio after which a long call is asked whether to go on.
const PIECE_S: u32 = 2;

/// A listener. What computes is lent for each call, so a stream is small.
#[derive(Debug)]
pub struct Stream {
    rate_hz: u32,
    listener: Listener,
    finished: bool,
}

impl Stream {
    /// A stream of `shared` whose samples have any rate from 8 to 192 kHz.
    ///
    /// # Errors
    /// What the options or the rate do not fit.
    pub fn new(shared: &Shared, options: &Options, rate_hz: u32) -> Result<Self> {
        Self::with(shared, &shared.stream_options(options, true)?, rate_hz)
    }

    /// A stream of what the options say and no more.
    pub(crate) fn with(shared: &Shared, options: &StreamOptions, rate_hz: u32) -> Result<Self> {
        let mut listener = shared.recognizer().listener(options)?;
        listener.accept_waveform(rate_hz, &[])?; // refuses a rate out of range
        Ok(Self { rate_hz, listener, finished: false })
    }

    /// Samples a second that it wants.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Hears mono samples in [-1, 1]. `go_on` is asked every few seconds of audio; if it says no the rest of the call is not heard.
    ///
    /// # Errors
    /// [`Error::Samples`] if one is not finite, [`Error::Usage`] after [`Stream::finish`].
    pub fn accept(
        &mut self,
        shared: &Shared,
        samples: &[f32],
        mut go_on: impl FnMut() -> bool,
    ) -> Result<()> {
        if self.finished {
            let reason = "audio after finish; call reset first";
            return Err(Error::Usage { reason: reason.into() });
        }
        shared.with_engine(|engine| {
            for piece in samples.chunks((self.rate_hz * PIECE_S) as usize) {
                self.listener.accept_waveform(self.rate_hz, piece)?;
                engine.advance(&mut [&mut self.listener])?;
                if !go_on() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The stream is over: its last words come out. Does nothing the second time.
    ///
    /// # Errors
    /// None is to be expected.
    pub fn finish(&mut self, shared: &Shared) -> Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        self.listener.finish();
        self.advance(shared)
    }

    /// Ends the segment here; listening goes on.
    ///
    /// # Errors
    /// None is to be expected.
    pub fn cut(&mut self, shared: &Shared) -> Result<()> {
        self.listener.cut();
        self.advance(shared)
    }

    fn advance(&mut self, shared: &Shared) -> Result<()> {
        shared.with_engine(|engine| engine.advance(&mut [&mut self.listener]))
    }

    /// Back to the start of a new stream with the same options.
    pub fn reset(&mut self) {
        self.listener.reset();
        self.finished = false;
    }

    /// The oldest event that was not yet taken.
    pub fn next_event(&mut self) -> Option<Event> {
        self.listener.next_event()
    }

    /// Seconds of audio accepted.
    pub fn time_s(&self) -> f64 {
        self.listener.time_s()
    }

    /// Whether a voice is heard.
    pub fn hears_voice(&self) -> bool {
        self.listener.hears_voice()
    }
}
