//! A tiny model with random weights.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use vivavoce::model::Model;

/// Reproducible values in [-1, 1).
pub fn noise(n: usize, mut seed: u32) -> Vec<f32> {
    (0..n)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// One stored tensor.
#[derive(Clone)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl Tensor {
    pub fn f32(shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), data }
    }
}

pub type Tensors = BTreeMap<String, Tensor>;

pub fn config_json(input_feeding: bool) -> String {
    r#"{
      "format_version": 1, "name": "tiny", "language": "en", "units": "phones",
      "features": {"sample_rate_hz": 16000, "frame_length_ms": 25.0, "frame_shift_ms": 10.0,
        "num_mel_bins": 8, "fft_size": 512, "low_hz": 20.0, "high_hz": 7600.0, "log_floor": 1e-7},
      "encoder": {"frontend": {"type": "conv", "channels": [3, 5], "stack": 2}, "dim": 12,
        "num_layers": 2},
      "transducer": {"embedding_dim": 6, "state_dim": 10, "state_layers": 2, "emit_dim": 9,
        "emit_layers": 2, "input_feeding": FEEDING},
      "attention": {"score": "scaled_dot", "dim": 8, "num_heads": 2, "max_positions": 8},
      "latency_modes": {"balanced": {"block_frames": 4, "look_back_frames": 8,
        "look_ahead_frames": 2, "max_tokens_per_block": 13}},
      "default_latency": "balanced",
      "streaming": {"tail_padding_ms": 480.0},
      "search": {"beam_size": 16, "lm_weight": 0.6, "word_bonus": 2.0, "end_of_block_bias": -1.0,
        "prune_log_prob": 12.0}
    }"#
    .replace("FEEDING", if input_feeding { "true" } else { "false" })
}

pub fn tensors(input_feeding: bool) -> Tensors {
    let mut all = Tensors::new();
    let mut add = |name: &str, shape: &[usize]| {
        let n = shape.iter().product();
        let tensor = Tensor::f32(shape, &noise(n, all.len() as u32 + 1));
        all.insert(name.to_owned(), tensor);
    };
    let state_inputs = if input_feeding { 14 } else { 6 };
    add("normalize.mean", &[8]);
    add("normalize.inv_std", &[8]);
    add("encoder.frontend.conv1.weight", &[3, 1, 3, 3]);
    add("encoder.frontend.conv1.bias", &[3]);
    add("encoder.frontend.conv2.weight", &[5, 3, 3, 3]);
    add("encoder.frontend.conv2.bias", &[5]);
    add("encoder.input.weight", &[12, 20]);
    add("encoder.input.bias", &[12]);
    add("encoder.norm.weight", &[12]);
    add("encoder.norm.bias", &[12]);
    let mut lstms = vec![];
    for l in 0..2 {
        add(&format!("encoder.layers.{l}.norm.weight"), &[12]);
        add(&format!("encoder.layers.{l}.norm.bias"), &[12]);
        lstms.push((format!("encoder.layers.{l}.lstm"), 12, 12));
    }
    lstms.push(("transducer.state_rnn.0".into(), state_inputs, 10));
    lstms.push(("transducer.state_rnn.1".into(), 10, 10));
    lstms.push(("transducer.emit_rnn.0".into(), 18, 9));
    lstms.push(("transducer.emit_rnn.1".into(), 9, 9));
    for (name, inputs, hidden) in lstms {
        add(&format!("{name}.weight_ih_l0"), &[4 * hidden, inputs]);
        add(&format!("{name}.weight_hh_l0"), &[4 * hidden, hidden]);
        add(&format!("{name}.bias_ih_l0"), &[4 * hidden]);
        add(&format!("{name}.bias_hh_l0"), &[4 * hidden]);
    }
    add("transducer.embedding.weight", &[11, 6]);
    for (name, inputs) in [("query", 10), ("key", 12), ("value", 12)] {
        add(&format!("transducer.attention.{name}.weight"), &[8, inputs]);
        add(&format!("transducer.attention.{name}.bias"), &[8]);
    }
    add("transducer.attention.position_bias", &[2, 8]);
    add("transducer.output.weight", &[11, 9]);
    add("transducer.output.bias", &[11]);
    all
}

pub fn serialize(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, t)| {
        (name, TensorView::new(t.dtype, t.shape.clone(), &t.data).expect("shape fits the data"))
    });
    safetensors::serialize(views, None).expect("tensors serialize")
}

pub fn model(input_feeding: bool) -> Model {
    let weights = serialize(&tensors(input_feeding));
    Model::from_bytes(config_json(input_feeding).as_bytes(), &weights).expect("a good model")
}
