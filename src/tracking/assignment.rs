//! Who is whom: the optimal one-to-one assignment over a sparse table of gains.

/// A possible pair and what it is worth; only pairs worth more than nothing are offered.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// Index of the track.
    pub row: usize,
    /// Index of the observation.
    pub col: usize,
    /// Gain of the pair, above 0.
    pub gain: f64,
}

/// The one-to-one assignment of the greatest total gain: for every row its column, if any. Rows and columns may stay
/// free, worth 0. Edges that are not worth more than 0, or that are out of range, are not used; of two edges for one
/// pair the later counts.
///
/// Pairs fall apart into connected components first, each solved exactly by successive shortest augmenting paths with
/// dual variables (Jonker and Volgenant, *Computing* 38, 1987): cubic in the largest component, not in the crowd.
pub fn assign(rows: usize, cols: usize, edges: &[Edge]) -> Vec<Option<usize>> {
    let mut result = vec![None; rows];
    let usable = |e: &&Edge| e.row < rows && e.col < cols && e.gain > 0.0 && e.gain.is_finite();
    // Most pairs are nobody else's choice: they need no search.
    let mut choices = vec![0u32; rows + cols];
    for edge in edges.iter().filter(usable) {
        for node in [edge.row, rows + edge.col] {
            if let Some(count) = choices.get_mut(node) {
                *count += 1;
            }
        }
    }
    let alone = |e: &Edge| [e.row, rows + e.col].iter().all(|node| choices.get(*node) == Some(&1));
    let mut contested = Vec::new();
    for edge in edges.iter().filter(usable) {
        if alone(edge) {
            set(&mut result, edge.row, Some(edge.col));
        } else {
            contested.push(*edge);
        }
    }
    if contested.is_empty() {
        return result;
    }
    let edges = contested;
    // Union-find over rows 0..rows and columns rows..rows + cols.
    let mut parent: Vec<usize> = (0..rows + cols).collect();
    for edge in &edges {
        let (a, b) = (root(&mut parent, edge.row), root(&mut parent, rows + edge.col));
        if let Some(p) = parent.get_mut(a.max(b)) {
            *p = a.min(b);
        }
    }
    let mut grouped: Vec<(usize, Edge)> = edges.iter().map(|e| (root(&mut parent, e.row), *e)).collect();
    grouped.sort_by_key(|(component, _)| *component); // stable: the later of two edges stays the later
    for component in grouped.chunk_by(|a, b| a.0 == b.0) {
        let mut row_names: Vec<usize> = component.iter().map(|(_, e)| e.row).collect();
        let mut col_names: Vec<usize> = component.iter().map(|(_, e)| e.col).collect();
        for names in [&mut row_names, &mut col_names] {
            names.sort_unstable();
            names.dedup();
        }
        // The shorter side is assigned, so that the table is never taller than wide.
        let flip = row_names.len() > col_names.len();
        let (short, long) = if flip { (&col_names, &row_names) } else { (&row_names, &col_names) };
        let mut cost = vec![0.0; short.len() * long.len()];
        for (_, edge) in component {
            let (s, l) = if flip { (edge.col, edge.row) } else { (edge.row, edge.col) };
            if let (Ok(s), Ok(l)) = (short.binary_search(&s), long.binary_search(&l)) {
                set(&mut cost, s * long.len() + l, -edge.gain);
            }
        }
        for (s, l) in solve(&cost, short.len(), long.len()).into_iter().enumerate() {
            // A pair of no gain was never offered: both sides stay free.
            if cost.get(s * long.len() + l).is_some_and(|c| *c < 0.0)
                && let (Some(s), Some(l)) = (short.get(s), long.get(l))
            {
                let (row, col) = if flip { (*l, *s) } else { (*s, *l) };
                set(&mut result, row, Some(col));
            }
        }
    }
    result
}

fn set<T>(values: &mut [T], at: usize, value: T) {
    if let Some(slot) = values.get_mut(at) {
        *slot = value;
    }
}

fn root(parent: &mut [usize], mut node: usize) -> usize {
    while let Some(&up) = parent.get(node)
        && up != node
    {
        let above = parent.get(up).copied().unwrap_or(up);
        set(parent, node, above); // path halving
        node = above;
    }
    node
}

/// The cheapest complete assignment of a dense `n` × `m` table, `n <= m`: for every row its column.
#[allow(clippy::indexing_slicing)] // every index is below n or m, the lengths of the vectors made here
fn solve(cost: &[f64], n: usize, m: usize) -> Vec<usize> {
    const FREE: usize = usize::MAX;
    let mut row_price = vec![0.0; n];
    let mut col_price = vec![0.0; m];
    let mut row_of = vec![FREE; m];
    let mut distance = vec![f64::INFINITY; m];
    let mut before = vec![FREE; m];
    let mut done = vec![false; m];
    for start in 0..n {
        distance.fill(f64::INFINITY);
        before.fill(FREE);
        done.fill(false);
        let (mut row, mut column, mut reached) = (start, FREE, 0.0);
        loop {
            let mut next = FREE;
            for j in 0..m {
                if done[j] {
                    continue;
                }
                let through = reached + cost[row * m + j] - row_price[row] - col_price[j];
                if through < distance[j] {
                    distance[j] = through;
                    before[j] = column;
                }
                // Of equally near columns a free one ends the search at once.
                if next == FREE
                    || distance[j] < distance[next]
                    || (distance[j] == distance[next] && row_of[j] == FREE && row_of[next] != FREE)
                {
                    next = j;
                }
            }
            if next == FREE {
                break; // cannot be: n <= m leaves a free column
            }
            (column, reached) = (next, distance[next]);
            done[column] = true;
            if row_of[column] == FREE {
                break;
            }
            row = row_of[column];
        }
        row_price[start] += reached;
        for j in 0..m {
            if done[j] && row_of[j] != FREE {
                row_price[row_of[j]] += reached - distance[j];
                col_price[j] -= reached - distance[j];
            }
        }
        while column != FREE {
            let previous = before[column];
            row_of[column] = if previous == FREE { start } else { row_of[previous] };
            column = previous;
        }
    }
    let mut result = vec![0; n];
    for (j, row) in row_of.into_iter().enumerate() {
        if row != FREE {
            result[row] = j;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every one-to-one assignment, tried.
    fn best(rows: usize, taken: &mut Vec<bool>, gains: &[Vec<f64>], row: usize) -> f64 {
        if row == rows {
            return 0.0;
        }
        let mut top = best(rows, taken, gains, row + 1);
        for col in 0..taken.len() {
            if !taken[col] && gains[row][col] > 0.0 {
                taken[col] = true;
                top = top.max(gains[row][col] + best(rows, taken, gains, row + 1));
                taken[col] = false;
            }
        }
        top
    }

    proptest! {
        #[test]
        fn as_good_as_trying_everything(
            gains in (1usize..6, 1usize..6).prop_flat_map(|(n, m)| {
                proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(0.0), 0.0..1.0], m), n)
            })
        ) {
            let (n, m) = (gains.len(), gains[0].len());
            let edges: Vec<Edge> = (0..n)
                .flat_map(|row| (0..m).map(move |col| (row, col)))
                .map(|(row, col)| Edge { row, col, gain: gains[row][col] })
                .collect();
            let found = assign(n, m, &edges);
            let mut columns: Vec<usize> = found.iter().flatten().copied().collect();
            let used = columns.len();
            columns.sort_unstable();
            columns.dedup();
            prop_assert_eq!(columns.len(), used, "a column twice");
            let total: f64 = found.iter().enumerate().filter_map(|(r, c)| c.map(|c| gains[r][c])).sum();
            prop_assert!((total - best(n, &mut vec![false; m], &gains, 0)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_crowd_of_equals_is_assigned_in_full() {
        let n = 300;
        let edges: Vec<Edge> = (0..n * n).map(|i| Edge { row: i / n, col: i % n, gain: 0.5 }).collect();
        assert!(assign(n, n, &edges).iter().all(Option::is_some));
    }
}
