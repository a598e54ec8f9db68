//! How much a client, and all of them together, may ask for.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::{Metrics, Protocol};
use super::sync::{AtomicUsize, Ordering};

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams at once.
    pub streams: usize,
    /// Audio of one stream or file.
    pub seconds: f64,
    /// A message of a socket.
    pub message_bytes: usize,
    /// An upload.
    pub body_bytes: usize,
    /// Without a message.
    pub idle: Duration,
    /// To let streams end when the server stops.
    pub stop: Duration,
    /// Hotwords or phrases of one stream.
    pub phrases: usize,
}

/// Counts open streams.
pub struct Slots {
    open: AtomicUsize,
    most: usize,
    metrics: Arc<Metrics>,
}

/// The right to one stream; given back when dropped, on whatever way.
pub struct SlotGuard {
    slots: Arc<Slots>,
    protocol: Protocol,
}

impl Slots {
    /// None is taken.
    pub fn new(most: usize, metrics: &Arc<Metrics>) -> Self {
        Self { open: AtomicUsize::new(0), most, metrics: Arc::clone(metrics) }
    }

    /// Takes one, unless all are taken.
    pub fn take(self: &Arc<Self>, protocol: &'static str) -> Option<SlotGuard> {
        let more = |open| (open < self.most).then_some(open + 1);
        if self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            self.metrics.refuse("full");
            return None;
        }
        let protocol = Protocol { protocol };
        self.metrics.streams.get_or_create(&protocol).inc();
        self.metrics.streams_open.get_or_create(&protocol).inc();
        Some(SlotGuard { slots: Arc::clone(self), protocol })
    }

    /// How many are taken.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Whether there is none left.
    pub fn is_full(&self) -> bool {
        self.open() >= self.most
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.slots.open.fetch_sub(1, Ordering::AcqRel);
        self.slots.metrics.streams_open.get_or_create(&self.protocol).dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_and_no_more_are_given_than_there_are() {
        let metrics = Arc::new(Metrics::new("test"));
        let slots = Arc::new(Slots::new(2, &metrics));
        let (first, second) = (slots.take("a"), slots.take("b"));
        assert!(first.is_some() && second.is_some() && slots.take("a").is_none());
        drop(first);
        assert_eq!(slots.open(), 1);
        assert!(slots.take("a").is_some());
        drop(second);
        assert_eq!(slots.open(), 0);
        let text = metrics.text();
        for line in [
            "vivavoce_streams_open{protocol=\"a\"} 0",
            "vivavoce_streams_total{protocol=\"a\"} 2",
            "vivavoce_refused_total{reason=\"full\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
