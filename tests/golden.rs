//! Law 2: Rust equals `PyTorch`. The cases come from `training/golden.py`.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use vivavoce::attention::KeyValues;
use vivavoce::features::{FeatureExtractor, Normalizer};
use vivavoce::model::{Model, StepScratch};
use vivavoce::search::{StepOutput, StepScorer};
use vivavoce::{Precision, Recognizer, SearchKind, StreamOptions};

use crate::common::{Solo, in_8_bits, load_model};

const TOLERANCE: f32 = 1e-4;

struct Case {
    name: String,
    model: Model,
    bytes: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let Ok(entries) = std::fs::read_dir(&root) else {
        println!("skipped: {} does not exist", root.display());
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no case in {}", root.display());
    folders
        .iter()
        .map(|folder| Case {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            model: load_model(folder),
            bytes: std::fs::read(folder.join("golden.safetensors")).unwrap(),
        })
        .collect()
}

impl Case {
    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let all = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = all.tensor(name).ok()?;
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        Some(tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        let all = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = all.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::I64, "{name}");
        let values = tensor.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b));
        values.map(|v| u32::try_from(v).unwrap()).collect()
    }

    fn assert_close(&self, what: &str, got: &[f32], width: usize) {
        let expected = self.floats(what).unwrap_or_else(|| panic!("{}: no {what}", self.name));
        assert_eq!(got.len(), expected.len(), "{}: length of {what}", self.name);
        let difference = |i: usize| (got[i] - expected[i]).abs();
        let worst = (0..got.len()).max_by(|a, b| difference(*a).total_cmp(&difference(*b)));
        let Some(worst) = worst else { return };
        println!("{}: {what}: max difference {:e}", self.name, difference(worst));
        assert!(
            difference(worst) < TOLERANCE,
            "{}: {what}[{}, {}]: got {}, expected {}, max difference {:e}",
            self.name,
            worst / width,
            worst % width,
            got[worst],
            expected[worst],
            difference(worst),
        );
    }

    fn memory(&self) -> KeyValues {
        let mut memory = KeyValues::default();
        self.model.project_into(&self.floats("encoder").unwrap(), &mut memory);
        memory
    }
}

#[test]
fn features_equal_pytorch() {
    for case in cases() {
        let Some(mut samples) = case.floats("samples") else { continue };
        let (config, streaming) = (&case.model.config().features, &case.model.config().streaming);
        // The silence that a session hears at the end of its stream.
        let padding = streaming.tail_padding_ms * config.sample_rate_hz as f32 / 1000.0;
        samples.resize(samples.len() + padding as usize, 0.0);
        let (mean, inv_std) = case.model.normalization();
        let normalizer = Normalizer::new(mean, inv_std).unwrap();
        let got = FeatureExtractor::new(config, normalizer).unwrap().extract(&samples).unwrap();
        case.assert_close("features", &got, config.num_mel_bins);
    }
}

#[test]
fn the_encoder_equals_pytorch() {
    for case in cases() {
        let features = case.floats("features").unwrap();
        let mut got = Vec::new();
        case.model.encode_into(&mut case.model.encoder_state(), &features, &mut got);
        case.assert_close("encoder", &got, case.model.encoder_dim());
    }
}

/// What `model` makes of the case's frames and tokens, step by step: contexts, log-probabilities, and what it expects unheard.
fn forced(case: &Case, model: &Model) -> [Vec<f32>; 3] {
    let mut memory = KeyValues::default();
    model.project_into(&case.floats("encoder").unwrap(), &mut memory);
    let window = Model::window(model.config().latency_mode(Some("balanced")).unwrap());
    let mut states = vec![0.0; model.state_size()];
    let mut next = states.clone();
    let mut row = vec![0.0; model.num_tokens()];
    let (mut contexts, mut log_probs, mut internal_lm) = (Vec::new(), Vec::new(), Vec::new());
    let mut unheard = row.clone();
    let mut scratch = StepScratch::default();
    let (mut block, mut previous) = (0, 0);
    for token in case.ids("tokens") {
        let mut scorer = model.block_scorer(&memory, window, block, &mut scratch);
        let out = StepOutput {
            next: &mut next,
            log_probs: &mut row,
            internal_lm: Some((0, &mut unheard)),
        };
        scorer.step_into(&states, &[previous], out);
        contexts.extend_from_slice(scorer.contexts());
        log_probs.extend_from_slice(&row);
        internal_lm.extend_from_slice(&unheard[1..]);
        std::mem::swap(&mut states, &mut next);
        block += usize::from(token == 0);
        previous = token;
    }
    [contexts, log_probs, internal_lm]
}

#[test]
fn teacher_forced_steps_equal_pytorch() {
    for case in cases() {
        let model = &case.model;
        let [contexts, log_probs, internal_lm] = forced(&case, model);
        case.assert_close("context", &contexts, model.context_dim());
        case.assert_close("log_probs", &log_probs, model.num_tokens());
        case.assert_close("internal_lm", &internal_lm, model.num_tokens() - 1);
    }
}

#[test]
fn greedy_tokens_equal_pytorch() {
    for case in cases() {
        let (model, memory) = (&case.model, case.memory());
        let mode = model.config().latency_mode(Some("balanced")).unwrap();
        let window = Model::window(mode);
        let mut states = vec![0.0; model.state_size()];
        let mut next = states.clone();
        let mut row = vec![0.0; model.num_tokens()];
        let mut got = Vec::new();
        let mut scratch = StepScratch::default();
        let mut previous = 0;
        for block in 0..window.num_blocks(memory.num_frames()) {
            let mut scorer = model.block_scorer(&memory, window, block, &mut scratch);
            for step in 1..=mode.max_tokens_per_block {
                scorer.step_into(&states, &[previous], StepOutput::new(&mut next, &mut row));
                std::mem::swap(&mut states, &mut next);
                let best = (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b]));
                let last = step == mode.max_tokens_per_block;
                previous = if last { 0 } else { best.unwrap() as u32 };
                if previous == 0 {
                    break;
                }
                got.push(previous);
            }
        }
        assert_eq!(got, case.ids("greedy"), "{}: greedy tokens", case.name);
    }
}

#[test]
fn greedy_tokens_of_whole_sessions_equal_pytorch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for case in cases() {
        let recognizer = Recognizer::load(root.join(&case.name)).unwrap();
        let options =
            StreamOptions::default().search(SearchKind::Greedy).latency("balanced".to_owned());
        let mut session = Solo::new(&recognizer, &options);
        for i in 0.. {
            let key = if i == 0 { String::new() } else { format!(".{i}") };
            let Some(samples) = case.floats(&format!("samples{key}")) else { break };
            session.reset();
            for chunk in samples.chunks(1600) {
                session.accept_waveform(chunk).unwrap();
            }
            session.finish().unwrap();
            let got: Vec<u32> = session.confirmed().iter().map(|w| w.id).collect();
            assert_eq!(got, case.ids(&format!("greedy{key}")), "{}: utterance {i}", case.name);
        }
    }
}

/// What `en-small` is built of, with its matrices in 8 bits: the stages stay near `PyTorch`'s, and nearer still to those of the same
/// weights widened to 32 bits.
#[test]
fn stages_of_the_shipped_architecture_in_8_bits_stay_near_pytorch() {
    let name = "context-layers";
    let case = cases().into_iter().find(|case| case.name == name).expect("the case");
    let files = in_8_bits(name);
    let load = |precision| {
        Model::from_bytes(&files["config.json"], &files["model.safetensors"], precision).unwrap()
    };
    let features = case.floats("features").unwrap();
    let encode = |model: &Model| {
        let mut out = Vec::new();
        model.encode_into(&mut model.encoder_state(), &features, &mut out);
        out
    };
    let size = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let away = |got: &[f32], from: &[f32]| {
        assert_eq!(got.len(), from.len());
        let difference: Vec<f32> = got.iter().zip(from).map(|(a, b)| a - b).collect();
        size(&difference) / size(from)
    };
    let (eight, wide) = (load(Precision::Int8), load(Precision::F32));
    let stages = |model: &Model| {
        let [contexts, log_probs, internal_lm] = forced(&case, model);
        [encode(model), contexts, log_probs, internal_lm]
    };
    let names = ["encoder", "context", "log_probs", "internal_lm"];
    for ((name, eight), wide) in names.iter().zip(stages(&eight)).zip(stages(&wide)) {
        let expected = case.floats(name).unwrap();
        let (from_pytorch, from_wide) = (away(&eight, &expected), away(&eight, &wide));
        println!("8 bits: {from_pytorch:.4} of {name} from PyTorch, {from_wide:.4} from 32 bits");
        assert!(from_pytorch > 0.0 && from_wide > 0.0, "{name}: not computed in 8 bits");
        assert!(from_pytorch < 0.05 && from_wide < 0.05, "{name}: {from_pytorch} {from_wide}");
    }
}
