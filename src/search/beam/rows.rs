//! Which hypotheses ask the network the same.

use super::BeamSearch;
use crate::search::hypothesis::Path;

impl BeamSearch {
    /// Gives every active hypothesis its row. Equal tokens mean equal states, so homophones share one.
    pub(super) fn assign_rows(&mut self) {
        self.rows.clear();
        self.num_rows = 0;
        for (i, path) in self.active.iter().enumerate() {
            let equal = self.active[..i].iter().position(|p| p.tokens_hash == path.tokens_hash);
            self.rows.push(equal.map_or(self.num_rows as u32, |i| self.rows[i]));
            self.num_rows += usize::from(equal.is_none());
        }
    }

    /// Active hypotheses that are the first with their row, in the order of rows.
    pub(super) fn row_owners(&self) -> impl Iterator<Item = &Path> {
        let mut next = 0;
        let mut first = move |row: u32| {
            let first = row == next;
            next += u32::from(first);
            first
        };
        self.active
            .iter()
            .zip(&self.rows)
            .filter(move |(_, row)| first(**row))
            .map(|(path, _)| path)
    }
}
