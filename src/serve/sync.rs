//! Threads, channels and counters of the server; under `--cfg shuttle` those whose order tests choose.

#[cfg(not(shuttle))]
mod real {
    pub use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub use std::sync::mpsc::{Receiver, Sender, channel};
    pub use std::thread;
}

#[cfg(shuttle)]
mod real {
    pub use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    pub use shuttle::sync::mpsc::{Receiver, Sender, channel};
    pub use shuttle::thread;
}

pub use self::real::*;
