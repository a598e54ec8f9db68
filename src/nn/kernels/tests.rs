use super::*;
use crate::nn::{Activations, PackedMatrix, Rows, RowsMut};

fn noise(n: usize, mut seed: u32) -> Vec<f32> {
    (0..n)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn assert_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len());
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance, "{what} [{i}]: got {g}, expected {e}");
    }
}

#[test]
fn every_product_equals_the_plain_loop() {
    for (n, k) in [(1, 1), (7, 3), (16, 9), (32, 288), (48, 64), (79, 320), (130, 65), (256, 512)] {
        let weights = noise(n * k, 1);
        let packed = PackedMatrix::pack(&weights, n, k);
        for batch in [1, 2, 3, 5, 6, 7, 8, 9, 17, 32] {
            let x = noise(batch * k, 2);
            let start = noise(batch * n, 3);
            let mut expected = start.clone();
            for b in 0..batch {
                for j in 0..n {
                    let products = (0..k).map(|i| f64::from(x[b * k + i] * weights[j * k + i]));
                    expected[b * n + j] += products.sum::<f64>() as f32;
                }
            }
            for kernels in Kernels::available() {
                let mut y = start.clone();
                packed.accumulate(
                    &kernels,
                    batch,
                    Rows { data: &x, stride: k },
                    RowsMut { data: &mut y, stride: n },
                    &mut Activations::default(),
                );
                assert_close(&y, &expected, 1e-4, &format!("{kernels:?} {batch}x{n}x{k}"));
            }
        }
    }
}

#[test]
fn half_precision_weights_change_no_bit() {
    let (n, k) = (150, 70);
    let rounded: Vec<f32> =
        noise(n * k, 1).iter().map(|w| half::f16::from_f32(*w).to_f32()).collect();
    let x = noise(32 * k, 2);
    for kernels in Kernels::available() {
        for batch in [1, 2, 8, 32] {
            let [full, half] = [false, true].map(|half| {
                let mut y = noise(batch * n, 3);
                PackedMatrix::pack_as(&rounded, n, k, half).accumulate(
                    &kernels,
                    batch,
                    Rows { data: &x, stride: k },
                    RowsMut { data: &mut y, stride: n },
                    &mut Activations::default(),
                );
                y
            });
            assert_eq!(full, half, "{kernels:?} {batch}");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_batch() {
    let (n, k) = (200, 130);
    let packed = PackedMatrix::pack(&noise(n * k, 1), n, k);
    let x = noise(32 * k, 2);
    for kernels in Kernels::available() {
        let mut whole = vec![0.0; 32 * n];
        let rows = Rows { data: &x, stride: k };
        packed.accumulate(
            &kernels,
            32,
            rows,
            RowsMut { data: &mut whole, stride: n },
            &mut Activations::default(),
        );
        for batch in 1..32 {
            for first in 0..32 - batch {
                let mut y = vec![0.0; batch * n];
                let rows = Rows { data: &x[first * k..], stride: k };
                packed.accumulate(
                    &kernels,
                    batch,
                    rows,
                    RowsMut { data: &mut y, stride: n },
                    &mut Activations::default(),
                );
                assert_eq!(y, whole[first * n..(first + batch) * n], "{kernels:?} {batch}");
            }
        }
    }
}

#[test]
fn elementwise_functions_give_the_same_bits_everywhere() {
    let reference = Kernels::portable();
    for kernels in Kernels::available() {
        for n in [1, 15, 16, 17, 79, 320] {
            let gates = noise(4 * n, 1).iter().map(|v| v * 10.0).collect::<Vec<_>>();
            let (mut c, mut c_ref) = (noise(n, 2), noise(n, 2));
            let (mut h, mut h_ref) = (vec![0.0; n], vec![0.0; n]);
            kernels.lstm_cell(&gates, &mut c, &mut h);
            reference.lstm_cell(&gates, &mut c_ref, &mut h_ref);
            assert_eq!((&c, &h), (&c_ref, &h_ref));
            assert_eq!(kernels.dot(&c, &h).to_bits(), reference.dot(&c, &h).to_bits());
            let bytes: Vec<i8> = gates.iter().map(|v| (v * 20.0) as i8).collect();
            let (a, b) = (&bytes[..n], &bytes[n..2 * n]);
            let sum: i32 = (0..n).map(|i| i32::from(a[i]) * i32::from(b[i])).sum();
            assert_eq!((kernels.dot_bytes(a, b), reference.dot_bytes(a, b)), (sum, sum));
            let (mut p, mut p_ref) = (c.clone(), c.clone());
            kernels.add_scaled(0.3, &h, &mut p);
            reference.add_scaled(0.3, &h, &mut p_ref);
            kernels.softmax(&mut p);
            reference.softmax(&mut p_ref);
            assert_eq!(p, p_ref);
            kernels.log_softmax(&mut c);
            reference.log_softmax(&mut c_ref);
            assert_eq!(c, c_ref);
            let (mut y, mut y_ref) = (vec![0.0; n], vec![0.0; n]);
            kernels.layer_norm(&gates[..n], &p, &h, 1e-5, &mut y);
            reference.layer_norm(&gates[..n], &p, &h, 1e-5, &mut y_ref);
            assert_eq!(y, y_ref);
        }
    }
}

#[test]
fn log_softmax_is_the_logarithm_of_a_distribution() {
    let mut x = noise(79, 5).iter().map(|v| v * 20.0).collect::<Vec<_>>();
    let mut p = x.clone();
    kernels().log_softmax(&mut x);
    kernels().softmax(&mut p);
    assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    for (log, p) in x.iter().zip(&p) {
        assert!((log.exp() - p).abs() < 1e-6);
    }
}

#[test]
fn products_of_8_bits_equal_the_plain_loop_bit_for_bit() {
    for (n, k) in [(1, 1), (7, 3), (16, 9), (48, 64), (79, 320), (130, 65), (256, 512)] {
        let (values, scales) = crate::nn::quantize(&noise(n * k, 1), k);
        let packed = PackedMatrix::pack_int8(&values, scales.clone(), k);
        for batch in [1, 2, 5, 6, 7, 13] {
            let (x, start) = (noise(batch * k, 2), noise(batch * n, 3));
            let mut expected = start.clone();
            for (x, y) in x.chunks_exact(k).zip(expected.chunks_exact_mut(n)) {
                let max = x.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
                let q: Vec<i32> =
                    x.iter().map(|v| (v * (127.0 / max)).round_ties_even() as i32).collect();
                for ((y, w), scale) in y.iter_mut().zip(values.chunks_exact(k)).zip(&scales) {
                    let sum: i32 = q.iter().zip(w).map(|(q, w)| q * i32::from(*w)).sum();
                    *y += sum as f32 * (max / 127.0 * scale);
                }
            }
            for kernels in Kernels::available() {
                let mut y = start.clone();
                let rows = Rows { data: &x, stride: k };
                packed.accumulate(
                    &kernels,
                    batch,
                    rows,
                    RowsMut { data: &mut y, stride: n },
                    &mut Activations::default(),
                );
                assert_eq!(y, expected, "{kernels:?} {batch}x{n}x{k}");
            }
        }
    }
}

#[test]
fn extreme_weights_and_activations_do_not_overflow() {
    let k = 1280;
    let x: Vec<f32> = (0..k).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
    for sign in [1_i8, -1] {
        let values: Vec<i8> = x.iter().map(|v| *v as i8 * 127 * sign).collect();
        let packed = PackedMatrix::pack_int8(&values, vec![1.0], k);
        for kernels in Kernels::available() {
            let mut y = [0.0];
            let rows = Rows { data: &x, stride: k };
            packed.accumulate(
                &kernels,
                1,
                rows,
                RowsMut { data: &mut y, stride: 1 },
                &mut Activations::default(),
            );
            let expected = f32::from(sign) * 127.0 * k as f32;
            assert!((y[0] - expected).abs() < 1e-3 * expected.abs(), "{kernels:?}: {}", y[0]);
        }
    }
}

#[test]
fn the_vector_paths_of_8_bits_equal_the_portable_one() {
    #[cfg(target_arch = "x86_64")]
    {
        // AMX takes inputs by 64, and rows by 16 or fewer. Outputs fill panels of one to four times 16.
        for (n, k, batch) in
            [(150, 72, 9), (150, 128, 9), (100, 64, 3), (70, 192, 16), (16, 64, 17), (112, 320, 47)]
        {
            let (values, scales) = crate::nn::quantize(&noise(n * k, 1), k);
            let packed = PackedMatrix::pack_int8(&values, scales, k);
            let x = noise(batch * k, 2);
            // Activations hold what another product left there.
            let mut activations = Activations::default();
            let mut run = |kernels: &Kernels| {
                let mut y = noise(batch * n, 3);
                let (rows, out) =
                    (Rows { data: &x, stride: k }, RowsMut { data: &mut y, stride: n });
                packed.accumulate(kernels, batch, rows, out, &mut activations);
                y
            };
            let expected = run(&Kernels::portable());
            // Machines with VNNI also run the AVX2 file, those with AMX both.
            for mut kernels in Kernels::available().into_iter().skip(1) {
                assert_eq!(run(&kernels), expected, "{kernels:?} {n} {k} {batch}");
                (kernels.amx, kernels.int8_tile) = (None, int8::avx2::tile);
                assert_eq!(run(&kernels), expected, "{kernels:?} {n} {k} {batch}");
            }
        }
    }
}

#[test]
fn weights_widened_when_used_change_no_bit() {
    let (n, k) = (150, 70);
    let (values, scales) = crate::nn::quantize(&noise(n * k, 1), k);
    let rows = values.chunks_exact(k).zip(&scales);
    let full: Vec<f32> =
        rows.flat_map(|(row, s)| row.iter().map(move |w| f32::from(*w) * s)).collect();
    let x = noise(9 * k, 2);
    let matrices = [
        PackedMatrix::pack_as(&full, n, k, false),
        PackedMatrix::pack_widened(&values, &scales, k),
    ];
    // Every table, so that a machine with AVX-512 tests what one with AVX2 alone runs.
    for kernels in Kernels::available() {
        for batch in [1, 2, 3, 4, 5, 6, 9] {
            let [full, widened] = matrices.each_ref().map(|matrix| {
                let mut y = noise(batch * n, 3);
                let out = RowsMut { data: &mut y, stride: n };
                let rows = Rows { data: &x, stride: k };
                matrix.accumulate(&kernels, batch, rows, out, &mut Activations::default());
                y
            });
            assert_eq!(full, widened, "{kernels:?} {batch}");
        }
    }
}
