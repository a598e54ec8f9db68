//! Law 6: bad input gives a clear error, never a panic.

use proptest::prelude::*;
use safetensors::Dtype;
use vivavoce::Precision;
use vivavoce::model::Model;
use vivavoce::search::{StepOutput, StepScorer};

use crate::common::{Tensor, Tensors, config_json, noise, serialize, tensors};

fn load(tensors: &Tensors) -> vivavoce::Result<Model> {
    Model::from_bytes(config_json(false).as_bytes(), &serialize(tensors), Precision::default())
}

fn message(tensors: &Tensors) -> String {
    load(tensors).expect_err("a bad model").to_string()
}

#[test]
fn every_missing_tensor_is_named() {
    let good = tensors(false);
    for name in good.keys() {
        let mut bad = good.clone();
        bad.remove(name);
        assert!(message(&bad).contains(name.as_str()), "{name}");
    }
}

#[test]
fn every_wrong_shape_is_named() {
    let good = tensors(false);
    for (name, tensor) in &good {
        let mut shape = tensor.shape.clone();
        shape[0] += 1;
        let values = vec![0.1; shape.iter().product()];
        let mut bad = good.clone();
        bad.insert(name.clone(), Tensor::f32(&shape, &values));
        // A token more in the embedding shows in the output layer.
        let text = message(&bad);
        assert!(text.contains(name.as_str()) || text.contains("transducer.output"), "{text}");
    }
}

#[test]
fn values_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut bad = tensors(false);
        bad.insert("encoder.norm.bias".into(), Tensor::f32(&[12], &[value; 12]));
        assert!(message(&bad).contains("encoder.norm.bias"));
    }
}

#[test]
fn unknown_types_are_refused() {
    let mut bad = tensors(false);
    let tensor = Tensor { dtype: Dtype::F64, shape: vec![12], data: vec![0; 96] };
    bad.insert("encoder.norm.bias".into(), tensor);
    assert!(message(&bad).contains("F64"));
}

#[test]
fn half_precision_and_quantised_weights_are_read() {
    let mut halves = tensors(false);
    let ones = half::f16::from_f32(0.5).to_le_bytes().repeat(12);
    let tensor = Tensor { dtype: Dtype::F16, shape: vec![12], data: ones };
    halves.insert("encoder.norm.bias".into(), tensor);
    load(&halves).unwrap();

    // The same matrix stored as int8 with scales and as the floats that stands for.
    let codes: Vec<i8> = noise(11 * 9, 1).iter().map(|v| (v * 127.0) as i8).collect();
    let scale: Vec<f32> = (1..=11).map(|r| r as f32 * 0.01).collect();
    let floats: Vec<f32> =
        codes.iter().enumerate().map(|(i, c)| f32::from(*c) * scale[i / 9]).collect();
    let mut plain = tensors(false);
    let name = "transducer.output.weight";
    plain.insert(name.into(), Tensor::f32(&[11, 9], &floats));
    let mut quantised = plain.clone();
    let data = codes.iter().map(|c| *c as u8).collect();
    quantised.insert(name.into(), Tensor { dtype: Dtype::I8, shape: vec![11, 9], data });
    assert!(message(&quantised).contains("transducer.output.weight.scale"));
    quantised.insert(format!("{name}.scale"), Tensor::f32(&[11], &scale));
    let scores = |model: &Model| {
        let mut encoded = Vec::new();
        model.encode_into(&mut model.encoder_state(), &noise(8 * 32, 2), &mut encoded);
        let mut memory = vivavoce::attention::KeyValues::default();
        model.project_into(&encoded, &mut memory);
        let window = Model::window(model.config().latency_mode(None).unwrap());
        let mut scratch = vivavoce::model::StepScratch::default();
        let states = vec![0.0; model.state_size()];
        let (mut next, mut log_probs) = (states.clone(), vec![0.0; 11]);
        let mut scorer = model.block_scorer(&memory, window, 0, &mut scratch);
        scorer.step_into(&states, &[0], StepOutput::new(&mut next, &mut log_probs));
        log_probs
    };
    let bytes = serialize(&quantised);
    let widened = Model::from_bytes(config_json(false).as_bytes(), &bytes, Precision::F32).unwrap();
    assert_eq!(scores(&load(&plain).unwrap()), scores(&widened));
}

#[test]
fn bad_configurations_are_refused() {
    let weights = serialize(&tensors(false));
    let good = config_json(false);
    for (from, to) in [
        ("\"format_version\": 1", "\"format_version\": 2"),
        ("\"dim\": 12", "\"dim\": 1000000000"),
        ("\"dim\": 12", "\"dim\": 0"),
        ("\"dim\": 12", "\"dim\": -1"),
        ("\"num_mel_bins\": 8", "\"num_mel_bins\": 18446744073709551615"),
        ("\"num_mel_bins\": 8", "\"num_mel_bins\": 6"),
        ("\"num_heads\": 2", "\"num_heads\": 3"),
        ("\"name\": \"tiny\"", "\"name\": 3"),
        ("\"default_latency\": \"balanced\"", "\"default_latency\": \"none\""),
        ("\"stack\": 2", "\"stack\": 2, \"unknown\": 1"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(Model::from_bytes(bad.as_bytes(), &weights, Precision::default()).is_err(), "{to}");
    }
    assert!(Model::from_bytes(b"", &weights, Precision::default()).is_err());
    assert!(Model::from_bytes(good.as_bytes(), b"", Precision::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_weights_never_panic(
        keep in 0.0_f64..=1.0,
        damage in prop::collection::vec((0.0_f64..1.0, any::<u8>()), 0..8),
    ) {
        let mut bytes = serialize(&tensors(false));
        // Most of the damage goes to the header, which is about the first 3500 bytes.
        for (place, value) in damage {
            let place = (place * 4000.0) as usize;
            bytes[place] = value;
        }
        bytes.truncate((keep * 1.2 * bytes.len() as f64) as usize);
        let _ = Model::from_bytes(config_json(false).as_bytes(), &bytes, Precision::default());
    }
}
