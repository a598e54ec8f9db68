//! Compressed audio (tests/media, made by make.py there).

use std::path::PathBuf;

use crate::common::root;

/// File, the rate it was made at, and how well the codec keeps the waveform.
const KINDS: [(&str, u32, f32); 17] = [
    ("clock.flac", 16_000, 0.9999),
    ("clock.aiff", 16_000, 0.9999),
    ("clock.mp3", 16_000, 0.97),
    ("clock.ogg", 16_000, 0.97),
    ("clock.m4a", 44_100, 0.97),
    ("clock.aac", 16_000, 0.97),
    ("fragments.mp4", 16_000, 0.97),
    ("clock.mkv", 16_000, 0.97),
    ("clock.webm", 48_000, 0.86),
    ("opus.mp4", 48_000, 0.98),
    ("alaw.wav", 8_000, 0.99),
    ("mulaw.wav", 8_000, 0.99),
    // As well as libopus does it, less 0.001.
    ("clock.opus", 48_000, 0.9903),
    ("voip-6k.opus", 48_000, 0.8974),
    ("voip-12k-60ms.opus", 48_000, 0.8684),
    ("stereo-16k.opus", 48_000, 0.8605),
    ("lowdelay-24k-5ms.opus", 48_000, 0.9913),
];

fn path(name: &str) -> PathBuf {
    root().join("tests/media").join(name)
}

#[cfg(feature = "media")]
mod decoded {
    use vivavoce::audio::{self, BoxedSource};

    use super::{KINDS, path};
    use crate::common::{clip, resampled};

    fn samples(source: &mut BoxedSource) -> Vec<f32> {
        let all = source.read_all().unwrap();
        resampled(&all, source.sample_rate_hz(), 16_000)
    }

    /// The best correlation of `heard` with `expected` when it is up to 200 ms late, and how late.
    fn likeness(heard: &[f32], expected: &[f32]) -> (f32, usize) {
        let at = |delay: usize| {
            let pairs = || heard.iter().skip(delay).zip(expected);
            let dot: f32 = pairs().map(|(a, b)| a * b).sum();
            let norms: (f32, f32) =
                pairs().fold((0.0, 0.0), |n, (a, b)| (n.0 + a * a, n.1 + b * b));
            (dot / (norms.0 * norms.1).sqrt().max(1e-9), delay)
        };
        (0..3200).map(at).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    }

    #[test]
    fn every_kind_sounds_like_the_original() {
        let expected = clip("clock-float32-16000-mono.wav");
        for (name, rate_hz, least) in KINDS {
            let mut source = audio::open(path(name)).unwrap();
            assert_eq!(source.sample_rate_hz(), rate_hz, "{name}");
            let told_s = source.duration_s();
            let heard = samples(&mut source);
            let (correlation, delay) = likeness(&heard, &expected);
            println!(
                "{name}: correlation {correlation:.4}, {delay} samples late, {} of {}",
                heard.len(),
                expected.len()
            );
            assert!(correlation >= least, "{name}: {correlation}");
            // AAC begins with the encoder's priming of 1024 samples, which nothing in the stream tells.
            assert!(delay <= 1100, "{name}: {delay} samples late");
            assert!(heard.len().abs_diff(expected.len()) <= 4000, "{name}: {}", heard.len());
            assert!(source.warnings().is_empty(), "{name}: {:?}", source.warnings());
            if let Some(told_s) = told_s {
                assert!((told_s - heard.len() as f64 / 16_000.0).abs() < 0.2, "{name}: {told_s}");
            }
        }
    }

    #[test]
    fn a_file_in_memory_or_from_a_stream_is_the_same() {
        for (name, _, _) in KINDS {
            let expected = samples(&mut audio::open(path(name)).unwrap());
            let bytes = std::fs::read(path(name)).unwrap();
            assert_eq!(
                samples(&mut audio::from_bytes(name, bytes.clone()).unwrap()),
                expected,
                "{name}"
            );
            let stream = std::io::Cursor::new(bytes);
            assert_eq!(samples(&mut audio::from_stream(name, stream).unwrap()), expected, "{name}");
        }
    }

    /// Where the pages of an Ogg file begin, and its end.
    fn pages(bytes: &[u8]) -> Vec<usize> {
        let marks = bytes.windows(4).enumerate().filter(|(_, mark)| mark == b"OggS");
        marks.map(|(at, _)| at).chain([bytes.len()]).collect()
    }

    #[test]
    fn audio_stays_at_its_time_where_pages_of_opus_are_lost_or_damaged() {
        let whole = std::fs::read(path("lowdelay-24k-5ms.opus")).unwrap();
        let expected = samples(&mut audio::from_bytes("whole.opus", whole.clone()).unwrap());
        let pages = pages(&whole);
        assert!(pages.len() > 5, "two of headers, then a second each");
        let (start, end) = (pages[3], pages[4]);
        let mut damaged = whole.clone();
        damaged[start + 400] ^= 1;
        let lost = [&whole[..start], &whole[end..]].concat();
        for (bytes, expected_reason) in [(damaged, "mismatch"), (lost, "packets are missing")] {
            let mut source = audio::from_bytes("hurt.opus", bytes).unwrap();
            let heard = samples(&mut source);
            assert_eq!(heard.len(), expected.len());
            assert_eq!(source.warnings().len(), 1, "{:?}", source.warnings());
            let warning = source.warnings()[0].to_lowercase();
            assert!(warning.contains("hurt.opus is damaged: 1 places"), "{warning}");
            assert!(warning.contains(expected_reason), "{warning}");
            assert!(warning.contains("1.0 s are made up"), "{warning}");
            let (first, last) = (16_000 - 800, 2 * 16_000 + 3200);
            let tail = likeness(&heard[last..], &expected[last..]);
            assert!(tail.0 > 0.99 && tail.1 == 0, "{tail:?}");
            assert!(likeness(&heard[..first], &expected[..first]).0 > 0.999);
            assert!(heard[first..last].iter().all(|s| s.abs() <= 1.0), "no blast for what is lost");
        }
    }

    #[test]
    fn streams_that_follow_each_other_are_one() {
        for names in [
            ["voip-6k.opus", "lowdelay-24k-5ms.opus"],
            ["voip-6k.opus", "voip-6k.opus"],
            ["stereo-16k.opus", "voip-6k.opus"],
            ["clock.ogg", "clock.ogg"],
        ] {
            let each: Vec<_> =
                names.iter().map(|name| std::fs::read(path(name)).unwrap()).collect();
            let lengths = each
                .iter()
                .map(|bytes| samples(&mut audio::from_bytes("one", bytes.clone()).unwrap()).len());
            let mut chain = audio::from_bytes(names[0], each.concat()).unwrap();
            let heard = samples(&mut chain);
            assert!(chain.warnings().is_empty(), "{names:?}: {:?}", chain.warnings());
            assert!(heard.len().abs_diff(lengths.sum()) <= 2, "{names:?}: {}", heard.len());
        }
    }

    #[test]
    fn no_mp3_is_cut_off_at_a_length_that_it_does_not_have() {
        let seconds = clip("clock-float32-16000-mono.wav").len();
        let mut streamed = audio::open(path("streamed.mp3")).unwrap();
        let heard = samples(&mut streamed);
        assert!(heard.len() >= seconds, "{} of {seconds}", heard.len());
        assert!(streamed.warnings().is_empty(), "{:?}", streamed.warnings());
        // Two files in one: the first tells its own length.
        let joined = std::fs::read(path("clock.mp3")).unwrap().repeat(2);
        let heard = samples(&mut audio::from_bytes("joined.mp3", joined).unwrap());
        assert!(heard.len() >= 2 * seconds, "{} of {}", heard.len(), 2 * seconds);
    }

    #[test]
    fn a_header_that_tells_two_rates_is_told() {
        let pcm = crate::common::clip_path("kitchen-int16-8000-mono.wav");
        for (path, byte_rate) in
            [(path("alaw.wav"), 8_000), (path("mulaw.wav"), 8_000), (pcm, 16_000)]
        {
            let mut bytes = std::fs::read(path).unwrap();
            assert_eq!(bytes[24..28], 8_000_u32.to_le_bytes());
            bytes[24..28].copy_from_slice(&40_768_u32.to_le_bytes());
            for mut source in [
                audio::from_bytes("rates.wav", bytes.clone()).unwrap(),
                audio::from_stream("rates.wav", std::io::Cursor::new(bytes)).unwrap(),
            ] {
                source.read_all().unwrap();
                let expected = format!(
                    "rates.wav is damaged: its header says 40768 Hz, and {byte_rate} bytes a second, which are 8000 Hz"
                );
                assert_eq!(source.warnings(), [expected]);
            }
        }
    }

    #[test]
    fn damaged_files_are_errors_or_warnings_and_never_panics() {
        let (mut heard_of, mut refused) = (0, 0);
        for (name, _, _) in KINDS {
            let whole = std::fs::read(path(name)).unwrap();
            for cut in [0, 3, 60, 700, whole.len() / 2, whole.len() - 5] {
                let Ok(mut source) = audio::from_bytes(name, whole[..cut].to_vec()) else {
                    refused += 1;
                    continue;
                };
                if let Ok(heard) = source.read_all() {
                    heard_of += 1;
                    assert!(heard.iter().all(|s| s.is_finite()), "{name} cut at {cut}");
                }
            }
            let noise = crate::common::noise(whole.len(), 7);
            for every in [3, 50, 997] {
                let mut bytes = whole.clone();
                for (byte, noise) in bytes.iter_mut().zip(&noise).skip(40).step_by(every) {
                    *byte ^= (noise * 127.0) as i8 as u8;
                }
                let Ok(mut source) = audio::from_bytes(name, bytes) else {
                    refused += 1;
                    continue;
                };
                if let Ok(heard) = source.read_all() {
                    heard_of += 1;
                    assert!(
                        heard.iter().all(|s| s.is_finite()),
                        "{name} with every {every}th byte changed"
                    );
                }
            }
        }
        println!("{heard_of} damaged files heard, {refused} refused");
        // Of nine kinds of damage some leave something to be heard in each kind of file, and an empty file is refused.
        assert!(heard_of >= 2 * KINDS.len() && refused >= KINDS.len(), "{heard_of} {refused}");
    }
}

#[cfg(not(feature = "media"))]
#[test]
fn without_the_feature_each_kind_says_what_it_needs() {
    for (name, _, _) in KINDS {
        let Err(error) = vivavoce::audio::open(path(name)) else { panic!("{name} was read") };
        let message = error.to_string();
        assert!(message.contains(name) && message.contains("needs the feature media"), "{message}");
    }
}
