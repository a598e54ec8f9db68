//! What the tests share: a tiny model with random weights, the golden models, the real one, and clips.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use vivavoce::audio::{AudioSource, Resampler, WavSource};
use vivavoce::model::Model;
use vivavoce::nn::quantize;
use vivavoce::transcript::Event;
use vivavoce::{Engine, Listener, Precision, Recognizer, Session, StreamOptions};

/// Tokens of [`tensors`].
pub const NUM_TOKENS: usize = 11;

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
        "neural_weight": 0.5, "prune_log_prob": 12.0}
    }"#
    .replace("FEEDING", if input_feeding { "true" } else { "false" })
}

pub fn tensors(input_feeding: bool) -> Tensors {
    tensors_for(input_feeding, NUM_TOKENS)
}

fn tensors_for(input_feeding: bool, num_tokens: usize) -> Tensors {
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
    add("transducer.embedding.weight", &[num_tokens, 6]);
    for (name, inputs) in [("query", 10), ("key", 12), ("value", 12)] {
        add(&format!("transducer.attention.{name}.weight"), &[8, inputs]);
        add(&format!("transducer.attention.{name}.bias"), &[8]);
    }
    add("transducer.attention.position_bias", &[2, 8]);
    add("transducer.output.weight", &[num_tokens, 9]);
    add("transducer.output.bias", &[num_tokens]);
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
    let config = config_json(input_feeding);
    Model::from_bytes(config.as_bytes(), &weights, Precision::default()).expect("a good model")
}

const PHONES: &str = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W \
                      Y Z ZH";

/// The token table of units `phones`.
pub fn phone_tokens() -> String {
    let forms =
        ["", "_E"].map(|form| PHONES.split_whitespace().map(move |p| format!("{p}{form}\n")));
    std::iter::once("<e>\n".to_owned()).chain(forms.into_iter().flatten()).collect()
}

/// Weights under which the words of the golden lexicon are likely.
fn phone_tensors() -> Tensors {
    let tokens = phone_tokens();
    let spoken = ["AH_E", "EY_E", "B", "IY_E", "S", "D", "EH", "F_E"];
    let bias: Vec<f32> = tokens
        .lines()
        .map(|t| match t {
            "<e>" => 2.0,
            t if spoken.contains(&t) => 4.0,
            _ => -4.0,
        })
        .collect();
    let mut all = tensors_for(false, bias.len());
    all.insert("transducer.output.bias".into(), Tensor::f32(&[bias.len()], &bias));
    all
}

/// The files of a complete model folder: random weights, the golden lexicon and language model.
pub fn phone_model() -> BTreeMap<&'static str, Vec<u8>> {
    let golden = root().join("tests/golden");
    let read = |name: &str| std::fs::read(golden.join(name)).unwrap();
    BTreeMap::from([
        ("config.json", config_json(false).into_bytes()),
        ("tokens.txt", phone_tokens().into_bytes()),
        ("model.safetensors", serialize(&phone_tensors())),
        ("lexicon.bin", read("lexicon-tiny.bin")),
        ("lm.bin", read("lm-tiny.bin")),
        ("word_lm.safetensors", read("word-lm-tiny.safetensors")),
    ])
}

/// Writes `files` into a new folder, which lives as long as the value.
pub fn folder(files: &BTreeMap<&'static str, Vec<u8>>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// The files of a golden model with its matrices in 8 bits, as `en-small` has them.
pub fn in_8_bits(case: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let folder = root().join("tests/golden").join(case);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let bytes = read("model.safetensors");
    let mut all = Tensors::new();
    for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let [outputs, inputs] = *view.shape() else {
            let data = view.data().to_vec();
            all.insert(name, Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), data });
            continue;
        };
        let floats = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        let (values, scales) = quantize(&floats.collect::<Vec<_>>(), inputs);
        let data = values.iter().map(|v| *v as u8).collect();
        if name.ends_with("position_bias") {
            let (dtype, shape) = (view.dtype(), view.shape().to_vec());
            all.insert(name, Tensor { dtype, shape, data: view.data().to_vec() });
            continue;
        }
        all.insert(format!("{name}.scale"), Tensor::f32(&[outputs], &scales));
        all.insert(name, Tensor { dtype: Dtype::I8, shape: vec![outputs, inputs], data });
    }
    let weights = serialize(&all);
    BTreeMap::from([
        ("config.json", read("config.json")),
        ("tokens.txt", read("tokens.txt")),
        ("model.safetensors", weights),
    ])
}

/// The recognisers that need no trained model: [`phone_model`], the golden ones that hear audio, and in 8 bits one built like
/// `en-small`, of layers that see frames around their own and a running mean, and one whose transducer knows few tokens.
pub fn small_recognizers() -> &'static [(String, Recognizer)] {
    static ALL: OnceLock<Vec<(String, Recognizer)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let phones = Recognizer::load(folder(&phone_model())).unwrap();
        let golden =
            ["plain", "feeding", "wide", "context-layers", "limited-history"].map(|name| {
                let folder = root().join("tests/golden").join(name);
                (name.to_owned(), Recognizer::load(folder).unwrap())
            });
        let small = ["context-layers", "limited-history"].map(|name| {
            let recognizer = Recognizer::load(folder(&in_8_bits(name))).unwrap();
            (format!("{name}-int8"), recognizer)
        });
        [("phones".to_owned(), phones)].into_iter().chain(small).chain(golden).collect()
    })
}

/// Rate of the samples that the tests make.
pub const RATE_HZ: u32 = 16_000;

/// A session with an engine of its own.
pub struct Solo {
    engine: Engine,
    session: Session,
}

impl Solo {
    pub fn new(recognizer: &Recognizer, options: &StreamOptions) -> Self {
        Self::of(recognizer, recognizer.session(options).unwrap())
    }

    pub fn of(recognizer: &Recognizer, session: Session) -> Self {
        Self { engine: Engine::new(recognizer), session }
    }

    /// Whether the words have changed.
    pub fn accept_waveform(&mut self, samples: &[f32]) -> vivavoce::Result<bool> {
        self.session.accept_waveform(RATE_HZ, samples)?;
        self.advance()
    }

    /// Whether the words have changed.
    pub fn finish(&mut self) -> vivavoce::Result<bool> {
        self.session.finish();
        self.advance()
    }

    fn advance(&mut self) -> vivavoce::Result<bool> {
        self.engine.advance(&mut [&mut self.session])?;
        Ok(self.session.take_changed())
    }
}

impl Deref for Solo {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Solo {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// A listener with an engine of its own.
pub struct Heard {
    engine: Engine,
    listener: Listener,
}

impl Heard {
    pub fn new(recognizer: &Recognizer, options: &StreamOptions) -> Self {
        let listener = recognizer.listener(options).unwrap();
        Self { engine: Engine::new(recognizer), listener }
    }

    pub fn accept_waveform(
        &mut self,
        samples: &[f32],
        events: &mut Vec<Event>,
    ) -> vivavoce::Result<()> {
        self.listener.accept_waveform(RATE_HZ, samples)?;
        self.advance(events)
    }

    pub fn cut(&mut self, events: &mut Vec<Event>) -> vivavoce::Result<()> {
        self.listener.cut();
        self.advance(events)
    }

    pub fn finish(&mut self, events: &mut Vec<Event>) -> vivavoce::Result<()> {
        self.listener.finish();
        self.advance(events)
    }

    fn advance(&mut self, events: &mut Vec<Event>) -> vivavoce::Result<()> {
        self.engine.advance(&mut [&mut self.listener])?;
        events.extend(self.listener.take_events());
        Ok(())
    }
}

impl Deref for Heard {
    type Target = Listener;

    fn deref(&self) -> &Listener {
        &self.listener
    }
}

/// The network in a folder.
pub fn load_model(folder: &Path) -> Model {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (config, weights) = (read("config.json"), read("model.safetensors"));
    Model::from_bytes(&config, &weights, Precision::default()).unwrap()
}

/// The root of the repository.
/// The repository's, also for the crate in `fuzz/`.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().find(|folder| folder.join("audio-samples").is_dir()).unwrap_or(own).into()
}

/// The folder of the trained model. Where it is absent that must be said, by `VIVAVOCE_WITHOUT_MODEL=1`, for tests to pass without it.
pub fn real_folder() -> Option<PathBuf> {
    let folder = root().join("models/en-small");
    if folder.join("model.safetensors").exists() {
        return Some(folder);
    }
    let known = std::env::var_os("VIVAVOCE_WITHOUT_MODEL").is_some();
    assert!(known, "models/en-small is absent; VIVAVOCE_WITHOUT_MODEL=1 leaves out what needs it");
    println!("skipped: models/en-small is absent");
    None
}

/// The trained model, none (with a printed line) while it is absent.
pub fn real() -> Option<&'static Recognizer> {
    static REAL: OnceLock<Option<Recognizer>> = OnceLock::new();
    REAL.get_or_init(|| real_folder().map(|folder| Recognizer::load(folder).unwrap())).as_ref()
}

/// A clip of `audio-samples/`.
pub fn clip_path(name: &str) -> PathBuf {
    root().join("audio-samples").join(name)
}

/// A clip at 16 kHz, mono.
pub fn clip(name: &str) -> Vec<f32> {
    let mut source = WavSource::open(clip_path(name)).unwrap();
    let samples = source.read_all().unwrap();
    resampled(&samples, source.sample_rate_hz(), 16_000)
}

/// `samples` at another rate.
pub fn resampled(samples: &[f32], from_hz: u32, to_hz: u32) -> Vec<f32> {
    let mut out = Vec::new();
    let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
    resampler.process_into(samples, &mut out).unwrap();
    resampler.finish_into(&mut out).unwrap();
    out
}

/// The words of a clip.
pub fn clip_text(name: &str) -> String {
    let text = std::fs::read_to_string(clip_path(name).with_extension("txt")).unwrap();
    vivavoce::metrics::normalize_text(&text)
}

/// Something between tones and noise with pauses, `seconds` at 16 kHz.
pub fn babble(seconds: f32, seed: u32) -> Vec<f32> {
    let mut samples = noise((seconds * 16_000.0) as usize, seed);
    for (i, sample) in samples.iter_mut().enumerate() {
        let t = i as f32 / 16_000.0;
        let tone = (t * (700.0 + 400.0 * (t * 9.0).sin()) * std::f32::consts::TAU).sin();
        let loudness = (t * 14.0).sin().max(0.0);
        *sample = 0.4 * loudness * tone + 0.02 * *sample;
    }
    samples
}

/// Writes a WAV file of the given kind; every channel holds `samples`.
pub fn write_wav(path: &Path, spec: hound::WavSpec, samples: &[f32]) {
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    let scale = (1_i64 << (spec.bits_per_sample - 1)) as f32;
    for sample in samples {
        for _ in 0..spec.channels {
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(*sample).unwrap(),
                hound::SampleFormat::Int => {
                    let value = (sample * scale).round().clamp(-scale, scale - 1.0);
                    writer.write_sample(value as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
}

/// 16-bit mono at 16 kHz.
pub const PLAIN_WAV: hound::WavSpec = hound::WavSpec {
    channels: 1,
    sample_rate: 16_000,
    bits_per_sample: 16,
    sample_format: hound::SampleFormat::Int,
};
