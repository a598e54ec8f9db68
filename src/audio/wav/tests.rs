use std::io::Cursor;

use super::*;

fn wav(
    spec: hound::WavSpec,
    write: impl Fn(&mut hound::WavWriter<Cursor<&mut Vec<u8>>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = hound::WavWriter::new(Cursor::new(&mut bytes), spec).unwrap();
    write(&mut writer);
    writer.finalize().unwrap();
    bytes
}

fn int_spec(bits_per_sample: u16, channels: u16) -> hound::WavSpec {
    let sample_format = hound::SampleFormat::Int;
    hound::WavSpec { channels, sample_rate: 16_000, bits_per_sample, sample_format }
}

fn ramp16(n: i16) -> Vec<u8> {
    wav(int_spec(16, 1), |w| (0..n).for_each(|i| w.write_sample(i).unwrap()))
}

fn open(bytes: &[u8]) -> Result<WavSource<&[u8]>> {
    WavSource::from_reader("memory.wav", bytes)
}

fn read(bytes: &[u8]) -> Result<(Vec<f32>, Vec<String>)> {
    let mut source = open(bytes)?;
    let samples = source.read_all()?;
    let mut rest = vec![1.0];
    assert!(!source.next_chunk(&mut rest)? && rest.is_empty(), "an ended source stays so");
    Ok((samples, source.warnings().to_vec()))
}

/// A reader that gives one byte a call.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = 1.min(out.len());
        self.0.read(&mut out[..n])
    }
}

#[test]
fn every_integer_width_keeps_its_scale() {
    for bits in [8, 16, 24, 32] {
        let half = 1_i32 << (bits - 2);
        let bytes = wav(int_spec(bits, 1), |w| {
            for v in [0, half, -half, -2 * (half - 1)] {
                w.write_sample(v).unwrap();
            }
        });
        let (samples, warnings) = read(&bytes).unwrap();
        assert_eq!(samples[..3], [0.0, 0.5, -0.5], "{bits} bits");
        assert!(samples[3] < -0.98 && warnings.is_empty());
    }
}

#[test]
fn floats_are_kept_and_channels_averaged() {
    let spec = hound::WavSpec {
        channels: 3,
        sample_rate: 48_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let bytes = wav(spec, |w| {
        for v in [0.5_f32, 0.25, 0.0, 1.5, -1.5, 0.75] {
            w.write_sample(v).unwrap();
        }
    });
    let (samples, _) = read(&bytes).unwrap();
    assert_eq!(samples, [0.25, 0.25]);
    assert_eq!(open(&bytes).unwrap().sample_rate_hz(), 48_000);
    assert_eq!(open(&bytes).unwrap().num_samples(), Some(2));
}

#[test]
fn a_reader_that_dribbles_gives_the_same_samples() {
    let bytes = wav(int_spec(24, 2), |w| (0..998).for_each(|i| w.write_sample(i * 31).unwrap()));
    let mut slow = WavSource::from_reader("pipe", Dribble(&bytes)).unwrap();
    assert_eq!(slow.read_all().unwrap(), read(&bytes).unwrap().0);
}

#[test]
fn a_truncated_file_gives_what_it_holds_and_a_warning() {
    let bytes = ramp16(1000);
    let (samples, warnings) = read(&bytes[..bytes.len() - 501]).unwrap();
    assert_eq!(samples.len(), 749);
    assert!(warnings[0].contains("memory.wav") && warnings[0].contains("501"), "{warnings:?}");
}

#[test]
fn a_streamed_file_is_read_to_its_end() {
    for size in [0, u32::MAX, 0x7fff_f000] {
        let mut bytes = ramp16(1000);
        bytes[40..44].copy_from_slice(&size.to_le_bytes());
        let (samples, warnings) = read(&bytes).unwrap();
        assert_eq!((samples.len(), warnings.len()), (1000, 0), "{size:#x}");
        assert_eq!(open(&bytes).unwrap().num_samples(), None);
    }
}

#[test]
fn chunks_around_the_data_are_skipped() {
    let bytes = ramp16(10);
    let mut with = bytes[..36].to_vec();
    with.extend_from_slice(b"LIST\x03\0\0\0abc\0");
    with.extend_from_slice(&bytes[36..]);
    with.extend_from_slice(b"LIST\x04\0\0\0abcd");
    assert_eq!(read(&with).unwrap(), read(&bytes).unwrap());
}

/// A file of 16-bit samples whose format description is `format`.
fn described(format: &[u8]) -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
    bytes.extend_from_slice(&(format.len() as u32).to_le_bytes());
    bytes.extend_from_slice(format);
    bytes.extend_from_slice(b"fact\x08\0\0\0........data\x08\0\0\0");
    for value in [0_i16, 1 << 14, -1 << 14, 1 << 13] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

#[test]
fn unusual_format_descriptions_are_understood() {
    let plain = ramp16(1)[20..36].to_vec();
    let mut wrong_byte_rate = plain.clone();
    wrong_byte_rate[8..12].copy_from_slice(&7_u32.to_le_bytes());
    let mut long = plain.clone();
    long.extend_from_slice(&[0; 8]);
    let mut extensible = plain.clone();
    extensible[..2].copy_from_slice(&[0xfe, 0xff]);
    // 12 valid bits, no channel mask, integers.
    extensible.extend_from_slice(&[22, 0, 12, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0]);
    extensible.extend_from_slice(&[0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    for format in [plain, wrong_byte_rate, long, extensible] {
        let (samples, warnings) = read(&described(&format)).unwrap();
        assert_eq!(samples, [0.0, 0.5, -0.5, 0.25], "{format:?}");
        assert!(warnings.is_empty());
    }
}

#[test]
fn a_file_without_samples_is_empty() {
    assert_eq!(read(&ramp16(0)).unwrap(), (vec![], vec![]));
}

#[test]
fn broken_headers_are_errors_that_name_the_file() {
    let good = ramp16(10);
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let cases = [
        (Vec::new(), "ends inside"),
        (b"not a wave file at all, but text".to_vec(), "not a WAV"),
        (good[..30].to_vec(), "ends inside"),
        (good[..36].to_vec(), "ends inside"),
        (patched(12, b"junk"), "no format"),
        (patched(36, b"junk\xff\xff\xff\xff"), "before its data"),
        (patched(16, &[2, 0, 0, 0]), "format description"),
        (patched(20, &[6, 0]), "0x0006"),
        (patched(22, &[0, 0]), "zero channels"),
        (patched(24, &[0, 0, 0, 0]), "0 Hz"),
        (patched(24, &[0, 0, 0, 1]), "Hz is not in"),
        (patched(32, &[3, 0]), "3 bytes"),
        (patched(34, &[12, 0]), "12 bits"),
    ];
    for (bytes, expected) in cases {
        let error = open(&bytes).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("memory.wav"), "{expected}: {error}");
    }
}

#[test]
fn samples_that_are_not_numbers_are_errors_with_their_place() {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    for bad in [f32::NAN, f32::INFINITY] {
        let bytes = wav(spec, |w| {
            for i in 0..20_000 {
                w.write_sample(if i == 15_001 { bad } else { 0.0 }).unwrap();
            }
        });
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("memory.wav") && error.contains("sample 7500 "), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = WavSource::open("no/such.wav").map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no/such.wav"));
}

proptest::proptest! {
    #[test]
    fn damaged_files_never_panic(
        damage in proptest::collection::vec((0_usize..60, proptest::num::u8::ANY), 0..6),
        keep in 0_usize..144,
    ) {
        let mut bytes = ramp16(50);
        for (place, value) in damage {
            bytes[place] = value;
        }
        let _ = read(&bytes[..keep]);
    }
}
