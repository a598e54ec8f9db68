use super::*;

fn identity(dim: usize) -> Linear {
    let weight: Vec<f32> =
        (0..dim * dim).map(|i| if i / dim == i % dim { 1.0 } else { 0.0 }).collect();
    Linear::new(&weight, vec![0.0; dim], dim)
}

fn attention(position_bias: Vec<f32>) -> Attention {
    let attention = Attention {
        query: Some(identity(2)),
        key: Keys::Linear(identity(2)),
        value: identity(2),
        score: Score::Dot { scale: 0.5_f32.sqrt() },
        position_bias: PositionBias::new(position_bias, 1),
        mix: Mix::Soft,
        hops: 1,
        hop: None,
        num_heads: 1,
    };
    attention.checked()
}

fn attend(
    attention: &Attention,
    s: Rows<'_>,
    view: BlockView<'_>,
    scratch: &mut AttentionScratch,
    context: &mut [f32],
) {
    let none = Rows { data: &[], stride: 0 };
    let mut new = RowsMut { data: &mut [], stride: 0 };
    attention.attend_into(1, s, &std::iter::once(view), none, &mut new, scratch, context);
}

// Query (2, 0); keys (0, 1) and (1, 0); energies 0 and 2 / sqrt 2, weights 1 / (1 + e^1.4142)
// = 0.19557 and 0.80443; the context is the mean of the keys under these weights.
#[test]
fn contexts_equal_the_hand_computed_ones() {
    let attention = attention(vec![0.0; 4]);
    let mut memory = KeyValues::default();
    attention.project_into(&[9.0, 9.0, 0.0, 1.0, 1.0, 0.0], &mut memory);
    memory.discard_before(1);
    let window = Window { block_frames: 1, look_back_frames: 1, look_ahead_frames: 0 };
    let mut context = [0.0; 2];
    let s = Rows { data: &[2.0, 0.0], stride: 2 };
    let mut scratch = AttentionScratch::default();
    let view = BlockView { rows: 1, memory: &memory, window, block: 2 };
    attend(&attention, s, view, &mut scratch, &mut context);
    assert!((context[0] - 0.80443).abs() < 1e-5 && (context[1] - 0.19557).abs() < 1e-5);
}

// With 4 positions the block's end stands at index 3, so the last frame is index 2.
#[test]
fn the_position_bias_is_indexed_from_the_end_of_the_block() {
    let attention = attention(vec![0.0, 0.0, 50.0, 0.0]);
    let mut memory = KeyValues::default();
    attention.project_into(&[0.0, 1.0, 1.0, 0.0, 0.5, 0.5], &mut memory);
    let window = Window { block_frames: 3, look_back_frames: 0, look_ahead_frames: 0 };
    let mut context = [0.0; 2];
    let s = Rows { data: &[0.0, 0.0], stride: 2 };
    let mut scratch = AttentionScratch::default();
    let view = BlockView { rows: 1, memory: &memory, window, block: 0 };
    attend(&attention, s, view, &mut scratch, &mut context);
    assert!(context.iter().all(|c| (c - 0.5).abs() < 1e-6));
}
