//! Runs a test in many of the orders in which its threads can run (`--cfg shuttle`, CONTRIBUTING.md).

use std::path::PathBuf;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Orders that each of two schedulers tries: one picks threads at random, one changes its mind at three points only.
fn orders() -> usize {
    std::env::var("VIVAVOCE_ORDERS").map_or(1000, |text| text.parse().expect("a number"))
}

/// Fails, and prints the order, if the test fails in one of them, or a thread waits for ever or never ends.
pub fn in_any_order(test: impl Fn() + Clone + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(orders()), config.clone()).run(test.clone());
    Runner::new(PctScheduler::new(3, orders()), config).run(test);
}

/// The folder of a model that is small enough to be asked thousands of times.
pub fn model() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plain")
}

/// `n` samples that differ by speaker.
pub fn sounds(speaker: usize, n: usize) -> Vec<f32> {
    (0..n).map(|i| 0.3 * ((i * (speaker + 7)) as f32 * 0.013).sin()).collect()
}
