//! Who is heard in a round of an engine, so that a flood or a long file keeps no speaker waiting.

/// What is known of a stream before a round.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Whether it is not ahead of its time.
    pub live: bool,
    /// Audio of its next input, if it has one.
    pub next_s: Option<f64>,
}

/// Who hears in this round: the live streams, and of the others, if no live one waits or they are overdue, as many as fit into
/// `share_s` of audio, but one at least, each in turn. Without live ones all do.
pub fn choose(waiting: &[Waiting], round: usize, share_s: f64, overdue: bool) -> Vec<bool> {
    let count = waiting.len();
    let mut chosen: Vec<bool> = waiting.iter().map(|one| one.live).collect();
    if !overdue && waiting.iter().any(|one| one.live && one.next_s.is_some()) {
        return chosen;
    }
    let mut left_s = if waiting.iter().any(|one| one.live) { share_s } else { f64::INFINITY };
    let mut first = true;
    for i in (0..count).map(|i| (i + round) % count) {
        let (false, Some(next_s)) = (waiting[i].live, waiting[i].next_s) else { continue };
        chosen[i] = first || next_s <= left_s;
        left_s -= if chosen[i] { next_s } else { 0.0 };
        first = false;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(waiting: &[Waiting], round: usize, share_s: f64, overdue: bool) -> Vec<usize> {
        let chosen = choose(waiting, round, share_s, overdue);
        (0..waiting.len()).filter(|i| chosen[*i] && waiting[*i].next_s.is_some()).collect()
    }

    #[test]
    fn those_ahead_of_their_time_have_short_rounds_and_all_have_their_turn() {
        let [live, quiet] = [Some(0.1), None].map(|next_s| Waiting { live: true, next_s });
        let [ahead, idle] = [Some(0.2), None].map(|next_s| Waiting { live: false, next_s });
        assert!(chosen(&[], 3, 1.0, true).is_empty());
        assert_eq!(chosen(&[ahead, idle, ahead, ahead], 0, 0.1, false), [0, 2, 3]);
        // A live one that waits goes alone, unless the others are overdue.
        let all = [live, ahead, ahead, quiet, idle, ahead];
        assert_eq!(chosen(&all, 0, 1.0, false), [0]);
        assert_eq!(chosen(&all, 0, 1.0, true), [0, 1, 2, 5]);
        assert_eq!(chosen(&all, 0, 0.45, true), [0, 1, 2]);
        assert_eq!(chosen(&[quiet, ahead, ahead, ahead], 0, 0.45, false), [1, 2]);
        // However small their share is, one of them goes on, each in turn.
        let mut turns = vec![0; all.len()];
        for round in 0..60 {
            for i in chosen(&all, round, 0.01, true) {
                turns[i] += 1;
            }
        }
        assert!(turns[0] == 60 && turns[1] + turns[2] + turns[5] == 60, "{turns:?}");
        assert!([1, 2, 5].iter().all(|i| turns[*i] >= 10), "{turns:?}");
    }
}
