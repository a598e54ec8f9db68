//! A stream as its socket sees it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use super::scheduler::{Input, Job, Order, Output, Parcel};
use super::sync::{AtomicUsize, Ordering, Sender};

/// Inputs that are queued or whose output was not yet taken.
const ROOM: usize = if cfg!(shuttle) { 2 } else { 8 };
/// Audio in one input.
const STEP_MS: u32 = 200;

/// The engine thread of the stream has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A stream in an engine thread. It ends there when this is dropped.
pub struct Stream {
    feeder: Feeder,
    rate_hz: u32,
    streams: Arc<AtomicUsize>,
    outputs: UnboundedReceiver<Parcel>,
    pending: usize,
}

/// Sends inputs from a thread of its own.
#[derive(Clone)]
pub struct Feeder {
    id: u64,
    orders: Sender<Order>,
    room: Arc<Semaphore>,
}

impl Feeder {
    /// Queues an input once there is room.
    ///
    /// # Errors
    /// [`Gone`], also if the stream was dropped.
    pub async fn send(&self, input: Input) -> Result<(), Gone> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Gone)?;
        let job = Job { input, at: Instant::now(), room };
        self.orders.send(Order::Job(self.id, job)).map_err(|_| Gone)
    }
}

impl Stream {
    pub(super) fn new(
        id: u64,
        rate_hz: u32,
        orders: Sender<Order>,
        streams: Arc<AtomicUsize>,
        outputs: UnboundedReceiver<Parcel>,
    ) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        let feeder = Feeder { id, orders, room: Arc::new(Semaphore::new(ROOM)) };
        Self { feeder, rate_hz, streams, outputs, pending: 0 }
    }

    /// For a thread that sends while this one takes; what it sends does not count as pending.
    pub fn feeder(&self) -> Feeder {
        self.feeder.clone()
    }

    /// Samples of one input.
    pub fn step(&self) -> usize {
        step(self.rate_hz)
    }

    /// Queues an input; outputs that stand in its way are put into `out`.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&mut self, input: Input, out: &mut Vec<Output>) -> Result<(), Gone> {
        let sending = self.feeder.send(input);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => {
                    self.pending += 1;
                    return sent;
                }
                output = self.outputs.recv() => {
                    self.pending -= 1;
                    out.push(output.ok_or(Gone)?.0);
                }
            }
        }
    }

    /// Queues samples in inputs of the right length.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send_audio(&mut self, samples: &[f32], out: &mut Vec<Output>) -> Result<(), Gone> {
        for piece in samples.chunks(self.step()) {
            self.send(Input::Audio(piece.to_vec()), out).await?;
        }
        Ok(())
    }

    /// The next output.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn next(&mut self) -> Result<Output, Gone> {
        let (output, _) = self.outputs.recv().await.ok_or(Gone)?;
        self.pending = self.pending.saturating_sub(1);
        Ok(output)
    }

    /// Takes the outputs of all that was sent.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn drain(&mut self, out: &mut Vec<Output>) -> Result<(), Gone> {
        while self.pending > 0 {
            out.push(self.next().await?);
        }
        Ok(())
    }
}

/// Samples of one input at `rate_hz`.
pub fn step(rate_hz: u32) -> usize {
    (rate_hz * STEP_MS / 1000) as usize
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.feeder.room.close();
        let _ = self.feeder.orders.send(Order::Close(self.feeder.id));
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
