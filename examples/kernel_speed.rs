//! Speed of the matrix product on this machine, one thread:
//! `cargo run --release --example kernel_speed`.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use vivavoce::nn::kernels::Kernels;
use vivavoce::nn::{Activations, PackedMatrix, Rows, RowsMut};

fn main() {
    let mut activations = Activations::default();
    for (n, k) in [(2048, 512), (1280, 320), (512, 1280), (80, 320), (32, 288)] {
        // The second weight is a half-precision number, so its matrix is stored in half the space.
        for (weight, (storage, kernels)) in [(0.01, "f32"), (0.5, "f16")]
            .into_iter()
            .flat_map(|(w, s)| Kernels::available().into_iter().map(move |k| (w, (s, k))))
        {
            let packed = PackedMatrix::pack(&vec![weight; n * k], n, k);
            let mut line = format!("{:>8} {storage} {n:>4}x{k:<4}", kernels.name());
            for batch in [1, 8, 32] {
                let x = vec![0.5; batch * k];
                let mut y = vec![0.0; batch * n];
                let repeats = (40_000_000 / (n * k * batch)).max(1);
                let mut best = f64::INFINITY;
                for _ in 0..60 {
                    let start = Instant::now();
                    for _ in 0..repeats {
                        let rows = Rows { data: black_box(&x), stride: k };
                        let out = RowsMut { data: black_box(&mut y), stride: n };
                        packed.accumulate(&kernels, batch, rows, out, &mut activations);
                    }
                    best = best.min(start.elapsed().as_secs_f64());
                }
                let flops = 2.0 * (n * k * batch * repeats) as f64;
                write!(line, "   B={batch}: {:6.1} GFLOP/s", flops / best / 1e9)
                    .expect("a string takes all");
            }
            eprintln!("{line}");
        }
    }
}
