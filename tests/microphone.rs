//! A virtual microphone: what is played into a null sink of `PulseAudio` is recorded by cpal through the pulse plugin of ALSA.
//! Skipped, with a line, where these are not installed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use vivavoce::StreamOptions;

use crate::cli::{Place, json_lines, ran};
use crate::common::{PLAIN_WAV, Solo, clip, real, real_folder, resampled, write_wav};

/// No event takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The clip that is played.
const CLIP: &str = "sentence.wav";

/// A sentence, 16 kHz, whose words do not depend on when it begins. A microphone hears silence before it, so frames and blocks
/// fall elsewhere than in the file, and a doubtful word may tip over ("wrote", "rode"); that is the model's doubt. The recordings
/// asked for are read clearly and have no word with a common double.
fn steady_sentence() -> Option<Vec<f32>> {
    let recognizer = real()?;
    let words = |samples: &[f32], silence: usize| {
        let mut session = Solo::new(recognizer, &StreamOptions::default());
        session.accept_waveform(&vec![0.0; silence]).unwrap();
        session.accept_waveform(samples).unwrap();
        session.finish().unwrap();
        session.result(0).text
    };
    let clips = ["harbour-int16-16000-mono", "garden-int16-48000-mono", "train-int16-44100-mono"];
    let steady = clips.map(|name| clip(&format!("{name}.wav"))).into_iter().find(|samples| {
        let text = words(samples, 0);
        // Up to the half second of pre-roll, and no multiple of a frame.
        text.contains(' ')
            && [1100, 2700, 4500, 6300, 8100].iter().all(|n| words(samples, *n) == text)
    });
    assert!(steady.is_some(), "each clip changes its words with the silence before it");
    steady
}

/// A sound server of its own, with a sink whose monitor is the default microphone.
struct Sound {
    place: Place,
    server: Child,
    rate: u32,
    channels: u32,
}

fn plugin() -> bool {
    let folders =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.iter().any(|f| Path::new(f).join("alsa-lib/libasound_module_pcm_pulse.so").exists())
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success())
}

impl Sound {
    fn start(rate: u32, channels: u32, sentence: &[f32]) -> Option<Self> {
        if !installed("pulseaudio") || !installed("paplay") || !plugin() {
            println!("skipped: no PulseAudio, paplay or ALSA plugin for it");
            return None;
        }
        let place = Place::new();
        let conf = "pcm.!default {\n type pulse\n device \"virt.monitor\"\n}\n";
        std::fs::write(place.path().join(".asoundrc"), conf).unwrap();
        // As the sink wants it, so that the server need not resample what is played.
        let spec = hound::WavSpec { channels: channels as u16, sample_rate: rate, ..PLAIN_WAV };
        write_wav(&place.path().join(CLIP), spec, &resampled(sentence, 16_000, rate));
        let server = Self::serve(place.path(), rate, channels);
        Some(Self { place, server, rate, channels })
    }

    fn socket(folder: &Path) -> PathBuf {
        folder.join("native")
    }

    fn serve(folder: &Path, rate: u32, channels: u32) -> Child {
        let _ = std::fs::remove_file(Self::socket(folder));
        let socket = Self::socket(folder).display().to_string();
        let child = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--disable-shm=yes",
            ])
            .arg(format!("--load=module-native-protocol-unix auth-anonymous=1 socket={socket}"))
            .arg(format!("--load=module-null-sink sink_name=virt rate={rate} channels={channels}"))
            .env("HOME", folder)
            .env("XDG_RUNTIME_DIR", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the sound server", || Self::socket(folder).exists());
        child
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("HOME", self.place.path())
            .env("XDG_RUNTIME_DIR", self.place.path())
            .env("PULSE_SERVER", format!("unix:{}", Self::socket(self.place.path()).display()))
            .env_remove("VIVAVOCE_DEVICE")
    }

    fn clip(&self) -> PathBuf {
        self.place.path().join(CLIP)
    }

    fn play(&self) -> Child {
        let mut command = Command::new("paplay");
        self.environment(&mut command).arg("--device=virt").arg(self.clip()).spawn().unwrap()
    }

    /// Tells the server something; what it answers.
    fn control(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("pactl");
        let out = self.environment(&mut command).args(arguments).output().unwrap();
        assert!(out.status.success(), "pactl {arguments:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    fn die(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    fn revive(&mut self) {
        self.server = Self::serve(self.place.path(), self.rate, self.channels);
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.die();
    }
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `vivavoce listen`, recording.
struct Listening {
    child: Child,
    lines: Receiver<Value>,
    messages: Receiver<String>,
    kept: PathBuf,
    shown: Vec<Value>,
}

impl Listening {
    /// Once audio arrives.
    fn start(sound: &Sound, model: &Path) -> Self {
        let listening = Self::begin(sound, model);
        listening.wait_for_audio();
        listening
    }

    fn begin(sound: &Sound, model: &Path) -> Self {
        let mut command = sound.place.command(&["listen", "--save", "kept.wav"]);
        sound.environment(&mut command).env("VIVAVOCE_MODEL", model);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (line, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for text in out.map_while(Result::ok) {
                let _ = line.send(serde_json::from_str(&text).unwrap());
            }
        });
        let (message, messages) = channel();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            for text in err.map_while(Result::ok) {
                let _ = message.send(text);
            }
        });
        let kept = sound.place.path().join("kept.wav");
        Self { child, lines, messages, kept, shown: Vec::new() }
    }

    fn heard(&self) -> u64 {
        std::fs::metadata(&self.kept).map_or(0, |m| m.len())
    }

    /// Until audio arrives from now on.
    fn wait_for_audio(&self) {
        let before = self.heard();
        wait_until("audio", || self.heard() > before.max(44));
    }

    fn next(&mut self) -> Value {
        let value = self.lines.recv_timeout(PATIENCE).unwrap();
        self.shown.push(value.clone());
        value
    }

    fn next_final(&mut self) -> String {
        loop {
            if let Some(text) = self.next()["text"].as_str() {
                return text.to_owned();
            }
        }
    }

    /// With Ctrl-C; all lines that were printed.
    fn stop(mut self) -> Vec<Value> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.shown.extend(self.lines.iter());
        self.shown
    }
}

fn transcribed(place: &Place, model: &Path, file: &Path) -> String {
    let mut command = place.command(&["transcribe", file.to_str().unwrap()]);
    ran(command.env("VIVAVOCE_MODEL", model)).out.trim().to_owned()
}

/// Plays the clip until it is heard whole: a program that gets too little of a busy machine loses audio, and says so. Returns
/// how often it was played.
fn understood(listening: &mut Listening, sound: &Sound) -> (String, usize) {
    for times in 1..=5 {
        listening.messages.try_iter().for_each(drop);
        assert!(sound.play().wait().unwrap().success());
        let text = listening.next_final();
        if !listening.messages.try_iter().any(|message| message.starts_with("warning")) {
            return (text, times);
        }
        // Whatever else comes of it.
        std::thread::sleep(Duration::from_secs(3));
        listening.shown.extend(listening.lines.try_iter());
    }
    panic!("each time audio was lost: {:?}", listening.shown.last());
}

fn a_played_clip_is_understood(rate: u32, channels: u32) {
    let Some(model) = real_folder() else { return };
    let Some(sentence) = steady_sentence() else { return };
    let Some(sound) = Sound::start(rate, channels, &sentence) else { return };
    let mut listening = Listening::start(&sound, &model);
    let (text, times) = understood(&mut listening, &sound);
    let shown = listening.stop();
    assert_eq!(text, transcribed(&sound.place, &model, &sound.clip()));
    if times == 1 {
        // What was kept gives the same lines again, whatever the time that each piece took.
        let mut again = sound.place.command(&["listen", "kept.wav"]);
        let again = json_lines(&ran(again.env("VIVAVOCE_MODEL", &model)).out);
        let finals = |lines: &[Value]| -> Vec<String> {
            lines.iter().filter_map(|v| Some(v["text"].as_str()?.to_owned())).collect()
        };
        assert_eq!(finals(&again), finals(&shown));
    }
}

#[test]
fn what_is_played_into_a_microphone_is_what_the_file_says() {
    a_played_clip_is_understood(48_000, 1);
}

#[test]
fn a_stereo_device_of_44100_hz_hears_the_same() {
    a_played_clip_is_understood(44_100, 2);
}

#[test]
fn a_device_that_dies_and_comes_back_costs_no_word_that_was_said() {
    let Some(model) = real_folder() else { return };
    let Some(sentence) = steady_sentence() else { return };
    let Some(mut sound) = Sound::start(48_000, 2, &sentence) else { return };
    let mut listening = Listening::start(&sound, &model);
    let mut player = sound.play();
    let confirmed = loop {
        let value = listening.next();
        if let Some(confirmed) = value["confirmed"].as_str().filter(|c| !c.is_empty()) {
            break confirmed.to_owned();
        }
    };
    sound.die();
    let _ = player.kill();
    let _ = player.wait();
    let cut = listening.next_final();
    assert!(cut.starts_with(&confirmed), "{cut:?} after {confirmed:?}");
    // A device that dies may lose audio first, which is told too.
    let message = loop {
        let message = listening.messages.recv_timeout(PATIENCE).unwrap();
        if !message.contains("lost some audio") {
            break message;
        }
    };
    assert!(message.contains("trying to open it again"), "{message}");
    sound.revive();
    listening.wait_for_audio();
    let (text, times) = understood(&mut listening, &sound);
    assert_eq!(text, transcribed(&sound.place, &model, &sound.clip()));
    let finals = listening.stop().iter().filter(|v| v["text"].is_string()).count();
    assert!(finals == 2 || times > 1, "{finals} results");
}

/// Plays `sentence` while both player and listener wait for a sink that sleeps, so that what is recorded begins with what is
/// played. Gives the text, how late the recording begins to speak in milliseconds, and whether audio was lost.
fn heard_from_the_start(sound: &Sound, model: &Path) -> (String, f32, bool) {
    sound.control(&["suspend-sink", "virt", "1"]);
    let mut listening = Listening::begin(sound, model);
    let mut player = sound.play();
    let attached = |what: &str| !sound.control(&["list", "short", what]).trim().is_empty();
    wait_until("both ends", || attached("source-outputs") && attached("sink-inputs"));
    sound.control(&["suspend-sink", "virt", "0"]);
    assert!(player.wait().unwrap().success());
    let text = listening.next_final();
    let lost = listening.messages.try_iter().any(|message| message.starts_with("warning"));
    let kept = listening.kept.clone();
    listening.stop();
    let mut reader = hound::WavReader::open(kept).unwrap();
    let (rate, channels) = (reader.spec().sample_rate, reader.spec().channels);
    let loud = reader.samples::<i16>().position(|s| s.unwrap().unsigned_abs() > 300).unwrap();
    (text, loud as f32 * 1000.0 / rate as f32 / f32::from(channels), lost)
}

#[test]
fn speech_in_the_first_50_ms_of_a_microphone_is_not_lost() {
    let Some(model) = real_folder() else { return };
    let Some(sentence) = steady_sentence() else { return };
    let onset = sentence.iter().position(|s| s.abs() > 0.02).unwrap();
    let sentence = &sentence[onset.saturating_sub(80)..];
    for _ in 0..5 {
        let Some(sound) = Sound::start(48_000, 1, sentence) else { return };
        let (text, onset_ms, lost) = heard_from_the_start(&sound, &model);
        if !lost {
            assert!(onset_ms < 50.0, "speech begins after {onset_ms} ms");
            assert_eq!(text, transcribed(&sound.place, &model, &sound.clip()));
            return;
        }
    }
    panic!("each time audio was lost");
}

#[test]
fn devices_are_listed_and_a_wrong_one_is_named() {
    let Some(sound) = Sound::start(48_000, 2, &[]) else { return };
    let mut command = sound.place.command(&["devices", "--json"]);
    let listed = ran(sound.environment(&mut command));
    assert_eq!(listed.code, 0, "{listed:?}");
    let devices: Value = serde_json::from_str(&listed.out).unwrap();
    let devices = devices.as_array().unwrap();
    assert!(devices.iter().any(|d| d["default"] == true), "{devices:?}");
    assert!(devices.iter().all(|d| d["name"].is_string() && d["host"].is_string()));
    for (device, reason) in [("no such thing", "no device"), ("999", "devices")] {
        let mut command = sound.place.command(&["listen", "--device", device]);
        let ran = ran(sound.environment(&mut command));
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
        assert!(ran.err.contains("cannot record from") && ran.err.contains(reason), "{ran:?}");
    }
}
