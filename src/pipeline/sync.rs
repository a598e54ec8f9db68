//! Threads, channels and flags of the pipeline; under `--cfg shuttle` those whose order tests choose.

#[cfg(not(shuttle))]
mod real {
    pub use std::sync::atomic::{AtomicBool, Ordering};
    pub use std::thread;

    pub use crossbeam_channel::{
        Receiver, RecvTimeoutError, SendError, Sender, TrySendError, bounded,
    };
}

#[cfg(shuttle)]
mod real {
    pub use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub use shuttle::sync::mpsc::{
        Receiver, RecvTimeoutError, SendError, SyncSender as Sender, TrySendError,
        sync_channel as bounded,
    };
    pub use shuttle::thread;
}

pub use self::real::*;
