//! What an engine asks of a stream.

use crate::error::Result;
use crate::features::FeatureExtractor;
use crate::listener::Listener;
use crate::session::Session;

/// A stream that an [`Engine`](super::Engine) can advance: a [`Session`] or a [`Listener`], or a reference to one, or one in a box,
/// so that both kinds can stand in one slice as `&mut dyn Stream`.
///
/// Nothing else can be a stream.
pub trait Stream: Poll {}

impl<T: Poll + ?Sized> Stream for T {}

/// The engine's side of a stream. A stream never calls the engine: it says what it has, and takes what is handed back.
pub trait Poll: Send {
    /// Goes on until the network is wanted or all that was accepted is heard; whether the network is wanted. What it computed
    /// since the last call is taken in first.
    #[doc(hidden)]
    fn poll(&mut self, features: &mut FeatureExtractor) -> bool;

    /// Accepts samples and their rate.
    #[doc(hidden)]
    fn accept(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()>;

    /// No more will come.
    #[doc(hidden)]
    fn end(&mut self);

    /// What the network computes for.
    #[doc(hidden)]
    fn session(&self) -> &Session;

    /// The same, to hand results back.
    #[doc(hidden)]
    fn session_mut(&mut self) -> &mut Session;
}

impl Poll for Session {
    fn poll(&mut self, features: &mut FeatureExtractor) -> bool {
        if self.wants_network(features) {
            return true;
        }
        self.take_in();
        false
    }

    fn accept(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()> {
        self.accept_waveform(rate_hz, samples)
    }

    fn end(&mut self) {
        self.finish();
    }

    fn session(&self) -> &Session {
        self
    }

    fn session_mut(&mut self) -> &mut Session {
        self
    }
}

impl Poll for Listener {
    fn poll(&mut self, features: &mut FeatureExtractor) -> bool {
        self.go_on(features)
    }

    fn accept(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()> {
        self.accept_waveform(rate_hz, samples)
    }

    fn end(&mut self) {
        self.finish();
    }

    fn session(&self) -> &Session {
        self.session()
    }

    fn session_mut(&mut self) -> &mut Session {
        self.session_mut()
    }
}

macro_rules! pass_on {
    ($($kind:ty),*) => {$(
        impl<T: Poll + ?Sized> Poll for $kind {
            fn poll(&mut self, features: &mut FeatureExtractor) -> bool {
                (**self).poll(features)
            }

            fn accept(&mut self, rate_hz: u32, samples: &[f32]) -> Result<()> {
                (**self).accept(rate_hz, samples)
            }

            fn end(&mut self) {
                (**self).end();
            }

            fn session(&self) -> &Session {
                (**self).session()
            }

            fn session_mut(&mut self) -> &mut Session {
                (**self).session_mut()
            }
        }
    )*};
}

pass_on!(&mut T, Box<T>);
