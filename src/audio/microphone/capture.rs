//! An open device and the queue behind its callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::convert::{is_known, to_mono_into};
use super::devices::{explain, find};
use crate::error::{Error, Result};

/// Buffers that travel between callback and reader.
const BUFFERS: usize = 96;
/// Audio that a buffer holds.
const BUFFER_MS: u32 = 50;
/// Audio that may wait here; the pipeline behind has a queue of its own.
const QUEUE_MS: u32 = 900;
/// Failures that wait to be told.
const FAILURES: usize = 16;

struct Packet {
    bytes: Vec<u8>,
    captured: Instant,
}

/// What comes next.
pub(super) enum Next {
    /// Samples were appended; `lost` groups of one sample a channel were dropped before them.
    Audio { captured: Instant, lost: usize },
    /// The stream goes on.
    Note(String),
    /// The stream is over.
    Failed(String),
    /// Not within the time given.
    Nothing,
}

/// A device that records.
pub(super) struct Capture {
    name: String,
    rate_hz: u32,
    channels: usize,
    format: SampleFormat,
    packets: Receiver<Packet>,
    spares: Sender<Vec<u8>>,
    failures: Receiver<cpal::Error>,
    counts: Arc<Counts>,
    stream: Option<cpal::Stream>,
}

/// Groups of one sample a channel.
#[derive(Default)]
struct Counts {
    queued: AtomicUsize,
    lost: AtomicUsize,
}

/// The callback's half: it copies and counts, and never locks, allocates or waits.
struct Inlet {
    spares: Receiver<Vec<u8>>,
    packets: Sender<Packet>,
    counts: Arc<Counts>,
    group_bytes: usize,
    buffer_bytes: usize,
    queue_limit: usize,
}

impl Inlet {
    fn take(&self, bytes: &[u8]) {
        let captured = Instant::now();
        for part in bytes.chunks(self.buffer_bytes) {
            let groups = part.len() / self.group_bytes;
            let queued = self.counts.queued.load(Ordering::Relaxed);
            let spare =
                if queued + groups > self.queue_limit { None } else { self.spares.try_recv().ok() };
            let Some(mut bytes) = spare else {
                self.counts.lost.fetch_add(groups, Ordering::Relaxed);
                continue;
            };
            bytes.clear();
            bytes.extend_from_slice(part);
            self.counts.queued.fetch_add(groups, Ordering::Relaxed);
            // There is room for every buffer.
            let _ = self.packets.try_send(Packet { bytes, captured });
        }
    }
}

impl Capture {
    pub fn open(device: Option<&str>) -> Result<Self> {
        let (device, name) = find(device)?;
        let failed =
            |error: &cpal::Error| Error::Device { name: name.clone(), reason: explain(error) };
        let config = device.default_input_config().map_err(|e| failed(&e))?;
        let (rate_hz, channels) = (config.sample_rate(), usize::from(config.channels()));
        let format = config.sample_format();
        if !is_known(format) || channels == 0 || !super::super::SAMPLE_RATES_HZ.contains(&rate_hz) {
            let reason = format!("it delivers {format} at {rate_hz} Hz, which cannot be read");
            return Err(Error::Device { name, reason });
        }
        let group_bytes = format.sample_size() * channels;
        let buffer_bytes = (rate_hz * BUFFER_MS / 1000) as usize * group_bytes;
        let (packet_sender, packets) = bounded(BUFFERS);
        let (spares, spare_receiver) = bounded(BUFFERS);
        for _ in 0..BUFFERS {
            let _ = spares.try_send(Vec::with_capacity(buffer_bytes));
        }
        let (failure_sender, failures) = bounded(FAILURES);
        let counts = Arc::new(Counts::default());
        let inlet = Inlet {
            spares: spare_receiver,
            packets: packet_sender,
            counts: Arc::clone(&counts),
            group_bytes,
            buffer_bytes,
            queue_limit: (rate_hz * QUEUE_MS / 1000) as usize,
        };
        let stream = device
            .build_input_stream_raw(
                StreamConfig {
                    channels: config.channels(),
                    sample_rate: rate_hz,
                    buffer_size: BufferSize::Default,
                },
                format,
                move |data, _| inlet.take(data.bytes()),
                move |error| _ = failure_sender.try_send(error),
                None,
            )
            .map_err(|e| failed(&e))?;
        stream.play().map_err(|e| failed(&e))?;
        let stream = Some(stream);
        Ok(Self { name, rate_hz, channels, format, packets, spares, failures, counts, stream })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Stops recording; what is in the queue stays.
    pub fn pause(&mut self) {
        self.stream = None;
    }

    /// Appends the next samples, mono.
    pub fn next_into(&mut self, wait: Duration, out: &mut Vec<f32>) -> Next {
        if let Ok(packet) = self.packets.recv_timeout(wait) {
            let groups = packet.bytes.len() / (self.format.sample_size() * self.channels);
            self.counts.queued.fetch_sub(groups, Ordering::Relaxed);
            to_mono_into(&packet.bytes, self.format, self.channels, out);
            let _ = self.spares.try_send(packet.bytes);
            let lost = self.counts.lost.swap(0, Ordering::Relaxed);
            return Next::Audio { captured: packet.captured, lost };
        }
        match self.failures.try_recv() {
            Ok(error) => match error.kind() {
                ErrorKind::Xrun => Next::Note("the system lost some audio".into()),
                ErrorKind::RealtimeDenied => Next::Nothing,
                ErrorKind::DeviceChanged => Next::Note(error.to_string()),
                _ => Next::Failed(explain(&error)),
            },
            Err(_) => Next::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlet(queue_limit: usize, buffers: usize) -> (Inlet, Receiver<Packet>, Arc<Counts>) {
        let (spare_sender, spares) = bounded(buffers);
        for _ in 0..buffers {
            spare_sender.send(Vec::with_capacity(8)).unwrap();
        }
        let (packets, received) = bounded(buffers);
        let counts = Arc::new(Counts::default());
        let inlet = Inlet {
            spares,
            packets,
            counts: Arc::clone(&counts),
            group_bytes: 4,
            buffer_bytes: 8,
            queue_limit,
        };
        (inlet, received, counts)
    }

    #[test]
    fn a_long_callback_is_spread_over_buffers_in_order() {
        let (inlet, received, counts) = inlet(100, 8);
        let bytes: Vec<u8> = (0..20).collect();
        inlet.take(&bytes);
        let all: Vec<u8> = received.try_iter().flat_map(|p| p.bytes).collect();
        assert_eq!(all, bytes);
        assert_eq!(counts.lost.load(Ordering::Relaxed), 0);
        assert_eq!(counts.queued.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn what_nobody_takes_is_counted() {
        let (full, received, counts) = inlet(4, 8);
        full.take(&[0; 32]);
        assert_eq!(received.len(), 2);
        assert_eq!(counts.lost.load(Ordering::Relaxed), 4);
        let (bare, received, counts) = inlet(100, 1);
        bare.take(&[0; 32]);
        assert_eq!(received.len(), 1);
        assert_eq!(counts.lost.load(Ordering::Relaxed), 6);
    }
}
