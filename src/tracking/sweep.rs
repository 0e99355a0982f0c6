//! Which boxes may touch: sorted by their left edges, so that a crowd is not compared each with each.
use crate::model::Rect;

/// Boxes by their left edges.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    /// Left edge and index, ascending.
    lefts: Vec<(f32, usize)>,
    widest: f32,
}

impl Sweep {
    /// Of these boxes, which must be finite; they are named by their places in the sequence.
    pub(super) fn new<'a>(boxes: impl IntoIterator<Item = &'a Rect>) -> Self {
        let mut widest = 0.0f32;
        let mut lefts: Vec<(f32, usize)> = Vec::new();
        for (index, rect) in boxes.into_iter().enumerate() {
            widest = widest.max(rect.w);
            lefts.push((rect.x, index));
        }
        lefts.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Self { lefts, widest }
    }

    /// The width of the widest box.
    pub(super) fn widest(&self) -> f32 {
        self.widest
    }

    /// All boxes that reach into the columns `from..=to`, and some that do not.
    pub(super) fn near(&self, from: f32, to: f32) -> impl Iterator<Item = usize> {
        // A pixel more than needed: right edges are rounded.
        let first = self.lefts.partition_point(|(x, _)| *x < from - self.widest - 1.0);
        let rest = self.lefts.get(first..).unwrap_or_default();
        rest.iter().take_while(move |(x, _)| *x <= to).map(|(_, index)| *index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nobody_who_touches_is_passed_over(
            boxes in proptest::collection::vec((-50.0f32..500.0, 0.1f32..200.0), 0..30),
            from in -100.0f32..600.0,
            length in 0.0f32..100.0,
        ) {
            let boxes: Vec<Rect> = boxes.into_iter().map(|(x, w)| Rect::new(x, 0.0, w, 10.0)).collect();
            let found: Vec<usize> = Sweep::new(&boxes).near(from, from + length).collect();
            for (index, rect) in boxes.iter().enumerate() {
                let touches = rect.x <= from + length && rect.right() >= from;
                prop_assert!(!touches || found.contains(&index));
            }
            prop_assert!(found.iter().all(|i| boxes[*i].x <= from + length), "nobody far to the right");
        }
    }
}
