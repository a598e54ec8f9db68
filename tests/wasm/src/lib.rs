//! The kernels for WebAssembly against the portable ones, bit for bit, in the machine that runs them: `bindings/web/tests/kernels.test.js`
//! loads this module. The library's own tests cannot run there, as they want a command line and files.

use std::cell::RefCell;

use vivavoce::nn::kernels::Kernels;
use vivavoce::nn::{Activations, PackedMatrix, Rows, RowsMut, quantize};

/// Sizes of the model's matrices, and odd ones: outputs and inputs.
const SIZES: [(usize, usize); 9] =
    [(1, 1), (7, 3), (16, 9), (32, 288), (48, 64), (79, 320), (130, 65), (150, 72), (256, 1280)];

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Pseudo-random values in [-1, 1].
fn noise(n: usize, mut seed: u32) -> Vec<f32> {
    let values = (0..n).map(|_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    values.collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// `start + x W^T`.
fn product(kernels: &Kernels, matrix: &PackedMatrix, x: &[f32], start: &[f32]) -> Vec<u32> {
    let (n, k) = (matrix.outputs(), matrix.inputs());
    let mut y = start.to_vec();
    let rows = Rows { data: x, stride: k };
    let out = RowsMut { data: &mut y, stride: n };
    matrix.accumulate(kernels, x.len() / k, rows, out, &mut Activations::default());
    bits(&y)
}

/// The number of results that are equal, or the first that is not.
fn products(fast: &Kernels) -> Result<usize, String> {
    let (plain, mut equal) = (Kernels::portable(), 0);
    for (n, k) in SIZES {
        let weights = noise(n * k, 1);
        let (values, scales) = quantize(&weights, k);
        // The largest sums there can be, of either sign.
        let most: Vec<i8> = (0..n * k).map(|i| if i % 3 == 0 { -127 } else { 127 }).collect();
        let matrices = [
            ("f32", PackedMatrix::pack(&weights, n, k)),
            ("widened", PackedMatrix::pack_widened(&values, &scales, k)),
            ("8 bits", PackedMatrix::pack_int8(&values, scales.clone(), k)),
            ("extreme", PackedMatrix::pack_int8(&most, scales, k)),
        ];
        for batch in [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 32] {
            let loud: Vec<f32> =
                (0..batch * k).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
            for x in [noise(batch * k, 2), loud, vec![0.0; batch * k]] {
                let start = noise(batch * n, 3);
                for (name, matrix) in &matrices {
                    let expected = product(&plain, matrix, &x, &start);
                    if product(fast, matrix, &x, &start) != expected {
                        return Err(format!("{fast:?}: {name} {batch}x{n}x{k} differs"));
                    }
                    equal += expected.len();
                }
            }
        }
    }
    Ok(equal)
}

/// The same of what is not a product.
fn elementwise(fast: &Kernels) -> Result<usize, String> {
    let (plain, mut equal) = (Kernels::portable(), 0);
    for n in [1, 15, 16, 17, 79, 320] {
        let gates: Vec<f32> = noise(4 * n, 1).iter().map(|v| v * 10.0).collect();
        let found = [fast, &plain].map(|kernels| {
            let (mut c, mut h, mut y) = (noise(n, 2), vec![0.0; n], vec![0.0; n]);
            kernels.lstm_cell(&gates, &mut c, &mut h);
            let mut p = c.clone();
            kernels.add_scaled(0.3, &h, &mut p);
            kernels.softmax(&mut p);
            kernels.layer_norm(&gates[..n], &p, &h, 1e-5, &mut y);
            let dot = kernels.dot(&c, &h);
            kernels.log_softmax(&mut c);
            bits(&[c, h, p, y, vec![dot]].concat())
        });
        if found[0] != found[1] {
            return Err(format!("{fast:?}: elementwise functions differ for {n} values"));
        }
        equal += found[0].len();
    }
    Ok(equal)
}

fn compare() -> Result<(usize, Kernels), String> {
    let tables = Kernels::available();
    let Some(fast) = tables.get(1) else {
        return Err(format!("there is nothing to compare: {tables:?}"));
    };
    Ok((products(fast)? + elementwise(fast)?, *fast))
}

/// Compares, and gives how many values were equal bit for bit; 0 if one was not. [`said`] tells the rest.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a symbol of its own name")]
pub extern "C" fn check() -> usize {
    let (equal, told) = match compare() {
        Ok((equal, fast)) => (equal, fast.name().to_owned()),
        Err(difference) => (0, difference),
    };
    SAID.set(told);
    equal
}

/// Where the text of the last check stands: the table's name, or what differs.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a symbol of its own name")]
pub extern "C" fn said() -> *const u8 {
    SAID.with_borrow(|said| said.as_ptr())
}

/// Its bytes.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a symbol of its own name")]
pub extern "C" fn said_bytes() -> usize {
    SAID.with_borrow(String::len)
}

/// Multiplies `batch` rows by 8-bit weights `times` times, to be timed: by the portable file (0) or the vectors (1).
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "a symbol of its own name")]
pub extern "C" fn multiply(
    table: usize,
    batch: usize,
    outputs: usize,
    inputs: usize,
    times: usize,
) -> u32 {
    let (values, scales) = quantize(&noise(outputs * inputs, 1), inputs);
    let matrix = PackedMatrix::pack_int8(&values, scales, inputs);
    let (x, start) = (noise(batch * inputs, 2), vec![0.0; batch * outputs]);
    let kernels = Kernels::available()[table];
    (0..times).map(|_| product(&kernels, &matrix, &x, &start)[0]).fold(0, u32::wrapping_add)
}
