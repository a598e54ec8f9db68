//! Law 1 for many streams: computed together they give the bits that each gives alone.

use vivavoce::search::Word;
use vivavoce::{Batcher, Recognizer, SearchKind, SessionOptions};

use crate::common::{babble, clip, real, small_recognizers};

fn bits(words: &[Word]) -> Vec<(u32, u32, u32, u32)> {
    words.iter().map(|w| (w.id, w.first_block, w.last_block, w.log_prob.to_bits())).collect()
}

fn alone(recognizer: &Recognizer, options: &SessionOptions, samples: &[f32]) -> Vec<Word> {
    let mut session = recognizer.session(options).unwrap();
    session.accept_waveform(samples).unwrap();
    session.finish().unwrap();
    session.confirmed().to_vec()
}

/// Runs `streams`, each with its own length of chunk, and compares every one with a session alone.
fn assert_equal_alone(name: &str, recognizer: &Recognizer, streams: &[(SearchKind, Vec<f32>)]) {
    let options = |search| SessionOptions { search, ..Default::default() };
    let mut batcher = Batcher::new(recognizer);
    let mut open: Vec<_> = streams
        .iter()
        .enumerate()
        .map(|(i, (search, samples))| {
            let id = batcher.add(&options(*search)).unwrap();
            (id, samples.chunks(700 + 900 * i), i)
        })
        .collect();
    let mut spoken = 0;
    while !open.is_empty() {
        open.retain_mut(|(id, chunks, _)| {
            let Some(chunk) = chunks.next() else {
                batcher.finish(*id).unwrap();
                return false;
            };
            batcher.accept_waveform(*id, chunk).unwrap();
            true
        });
        batcher.run(|_, _| ());
        let ended: Vec<_> = batcher_ids(&batcher, streams.len());
        assert_eq!(ended.len(), streams.len(), "streams stay until they are removed");
    }
    for (id, (search, samples)) in batcher_ids(&batcher, streams.len()).into_iter().zip(streams) {
        let session = batcher.remove(id).unwrap();
        let expected = alone(recognizer, &options(*search), samples);
        spoken += expected.len();
        assert_eq!(bits(session.confirmed()), bits(&expected), "{name}, {search:?}, {id:?}");
    }
    assert!(batcher.is_empty());
    assert!(spoken > 0, "{name}: nothing was said, so nothing was proved");
}

/// The first `n` streams in the order in which they were added.
fn batcher_ids(batcher: &Batcher, n: usize) -> Vec<vivavoce::recognizer::StreamId> {
    batcher.ids().take(n).collect()
}

#[test]
fn streams_in_a_batch_equal_streams_alone() {
    for (name, recognizer) in small_recognizers() {
        let kinds = [SearchKind::Beam, SearchKind::Greedy, SearchKind::Tokens];
        let streams: Vec<_> =
            (0..7_u32).map(|i| (kinds[i as usize % 3], babble(0.4 + 0.7 * i as f32, i))).collect();
        assert_equal_alone(name, recognizer, &streams);
    }
}

#[test]
fn streams_in_a_batch_equal_streams_alone_on_speech() {
    let Some(recognizer) = real() else { return };
    let clips = ["harbour-int16-16000-mono.wav", "story-int16-16000-mono.wav"];
    let streams: Vec<_> = (0..5)
        .map(|i| {
            let samples = clip(clips[i % 2]);
            (SearchKind::Beam, samples[i * 5000..(i * 5000 + 80_000).min(samples.len())].to_vec())
        })
        .collect();
    assert_equal_alone("en-small", recognizer, &streams);
}

/// Words of the segments of a stream that is cut after every second of `samples`.
fn segments_alone(recognizer: &Recognizer, search: SearchKind, samples: &[f32]) -> Vec<Vec<Word>> {
    let options = SessionOptions { search, ..Default::default() };
    let mut session = recognizer.session(&options).unwrap();
    let mut segments = Vec::new();
    for second in samples.chunks(16_000) {
        session.accept_waveform(second).unwrap();
        session.settle();
        segments.push(session.confirmed().to_vec());
        session.next_segment();
    }
    segments
}

#[test]
fn segments_of_streams_in_a_batch_equal_those_of_streams_alone() {
    for (name, recognizer) in small_recognizers() {
        let kinds = [SearchKind::Beam, SearchKind::Greedy, SearchKind::Tokens];
        let inputs: Vec<_> = (0..3).map(|i| babble(3.3 + 0.4 * i as f32, i)).collect();
        let mut batcher = Batcher::new(recognizer);
        let mut segments = vec![Vec::new(); kinds.len()];
        let ids = kinds
            .map(|search| batcher.add(&SessionOptions { search, ..Default::default() }).unwrap());
        for second in 0..5 {
            for (id, samples) in ids.iter().zip(&inputs) {
                if let Some(samples) = samples.chunks(16_000).nth(second) {
                    batcher.accept_waveform(*id, samples).unwrap();
                }
            }
            batcher.run(|_, _| ());
            for ((id, samples), segments) in ids.iter().zip(&inputs).zip(&mut segments) {
                let session = batcher.session_mut(*id).unwrap();
                if samples.chunks(16_000).nth(second).is_some() {
                    session.settle();
                    segments.push(session.confirmed().to_vec());
                    session.next_segment();
                }
            }
        }
        for ((search, samples), segments) in kinds.iter().zip(&inputs).zip(&segments) {
            let expected = segments_alone(recognizer, *search, samples);
            assert!(expected.iter().flatten().count() > 0, "{name}, {search:?}: nothing was said");
            let bits = |all: &[Vec<Word>]| all.iter().map(|words| bits(words)).collect::<Vec<_>>();
            assert_eq!(bits(segments), bits(&expected), "{name}, {search:?}");
        }
    }
}

#[test]
fn blocks_that_wait_while_a_segment_is_settled_belong_to_the_next() {
    for (name, recognizer) in small_recognizers() {
        let samples = babble(3.0, 5);
        let mut batcher = Batcher::new(recognizer);
        let id = batcher.add(&SessionOptions::default()).unwrap();
        batcher.accept_waveform(id, &samples).unwrap();
        batcher.session_mut(id).unwrap().settle();
        batcher.run(|_, _| ());
        assert_eq!(batcher.session(id).unwrap().num_blocks(), 0, "{name}");
        batcher.session_mut(id).unwrap().next_segment();
        batcher.finish(id).unwrap();
        batcher.run(|_, _| ());
        let session = batcher.remove(id).unwrap();
        let expected = alone(recognizer, &SessionOptions::default(), &samples);
        assert_eq!(bits(session.confirmed()), bits(&expected), "{name}");
    }
}

#[test]
fn a_removed_stream_is_refused() {
    for (_, recognizer) in small_recognizers() {
        let mut batcher = Batcher::new(recognizer);
        let id = batcher.add(&SessionOptions::default()).unwrap();
        assert!(batcher.remove(id).is_some());
        assert!(batcher.remove(id).is_none());
        assert!(batcher.accept_waveform(id, &[0.0]).is_err());
        assert!(batcher.finish(id).is_err());
    }
}
