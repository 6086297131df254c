//! Gradient-boosted regression trees on histograms, grown leaf by leaf.
//!
//! The child model of direct loss estimation: the defaults of LightGBM's regressor (100 trees of at
//! most 31 leaves, learning rate 0.1, at least 20 rows a leaf, 255 bins, squared error). It is small
//! on purpose: numeric features, no sampling, nothing random.

use crate::insufficient::{
    Insufficient, Reason, require_finite, require_rows, require_same_length,
};

/// Trees of a model.
const TREES: usize = 100;
/// Leaves of a tree.
const LEAVES: usize = 31;
/// Rows of a leaf, at least.
const LEAF_ROWS: usize = 20;
/// Step towards each tree.
const LEARNING_RATE: f64 = 0.1;
/// Bins of a feature.
const BINS: usize = 255;
/// Rows of a bin, at least.
const BIN_ROWS: usize = 3;
/// Most cells of the feature matrix.
const CELLS_MAX: usize = 20_000_000;

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Boosted {
    base: f64,
    trees: Vec<Vec<Node>>,
    features: usize,
}

/// A node of a tree; children are indices into the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    Leaf(f64),
    Split { feature: usize, at: f64, low: usize, high: usize },
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    sum: f64,
    rows: usize,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    gain: f64,
    feature: usize,
    bin: usize,
}

struct Leaf {
    node: usize,
    rows: Vec<u32>,
    sum: f64,
    cells: Vec<Cell>,
    best: Option<Candidate>,
}

/// Bins of one feature: the upper edges of all but the last, and the bin of each row.
struct Feature {
    edges: Vec<f64>,
    bins: Vec<u8>,
}

impl Boosted {
    /// Fits squared error; `columns` holds one slice a feature.
    ///
    /// # Errors
    /// No rows, columns of different length, or values that are not finite.
    pub fn fit(columns: &[Vec<f64>], target: &[f64]) -> Result<Self, Insufficient> {
        require_rows("training", target.len() as u64, 1)?;
        require_finite("target", target)?;
        if target.len().saturating_mul(columns.len().max(1)) > CELLS_MAX {
            return Err(Reason::TooLarge { what: "training", limit: CELLS_MAX as u64 }.into());
        }
        let mut features = Vec::with_capacity(columns.len());
        for column in columns {
            require_same_length("features and target", column.len(), target.len())?;
            require_finite("features", column)?;
            features.push(binned(column));
        }
        let base = target.iter().sum::<f64>() / target.len() as f64;
        let mut residuals: Vec<f64> = target.iter().map(|y| y - base).collect();
        let mut trees = Vec::with_capacity(TREES);
        for _ in 0..TREES {
            let (tree, leaves) = grow(&features, &residuals);
            if tree.len() == 1 {
                break;
            }
            for (rows, value) in leaves {
                rows.iter().for_each(|row| residuals[*row as usize] -= value);
            }
            trees.push(tree);
        }
        Ok(Self { base, trees, features: columns.len() })
    }

    /// Predicts one row; a row with another number of features gets the mean.
    pub fn predict(&self, row: &[f64]) -> f64 {
        if row.len() != self.features {
            return self.base;
        }
        let mut sum = self.base;
        for tree in &self.trees {
            let mut at = 0;
            sum += loop {
                match tree[at] {
                    Node::Leaf(value) => break value,
                    Node::Split { feature, at: edge, low, high } => {
                        at = if row[feature] <= edge { low } else { high };
                    }
                }
            };
        }
        sum
    }
}

/// Bins of a feature as LightGBM cuts them: values below zero and above zero apart, each side by
/// [`greedy_edges`] with its share of the bins, and zero in a bin of its own.
fn binned(column: &[f64]) -> Feature {
    const ZERO: f64 = 1e-35;
    let mut sorted = column.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    for value in sorted {
        match distinct.last_mut() {
            Some(last) if last.0 == value => last.1 += 1,
            _ => distinct.push((value, 1)),
        }
    }
    let below = distinct.partition_point(|(value, _)| *value <= -ZERO);
    let above = distinct.partition_point(|(value, _)| *value <= ZERO);
    let count = |part: &[(f64, usize)]| part.iter().map(|(_, rows)| rows).sum::<usize>();
    let (low, zero, high) = (&distinct[..below], &distinct[below..above], &distinct[above..]);
    let mut edges = Vec::new();
    let signed = count(low) + count(high);
    if !low.is_empty() {
        let share = count(low) as f64 / signed as f64;
        let bins = ((share * (BINS - 1) as f64) as usize).max(1);
        edges = greedy_edges(low, bins);
        if !(zero.is_empty() && high.is_empty()) {
            edges.push(-ZERO);
        }
    }
    if !high.is_empty() {
        if !(zero.is_empty() && low.is_empty()) {
            edges.push(ZERO);
        }
        edges.extend(greedy_edges(high, BINS.saturating_sub(1 + edges.len()).max(1)));
    }
    edges.truncate(BINS - 1);
    let bins =
        column.iter().map(|value| edges.partition_point(|edge| edge < value) as u8).collect();
    Feature { edges, bins }
}

/// Inner edges of at most `bins` bins of about equal counts; frequent values get their own bin.
fn greedy_edges(distinct: &[(f64, usize)], bins: usize) -> Vec<f64> {
    let middle = |i: usize| distinct[i].0 + 0.5 * (distinct[i + 1].0 - distinct[i].0);
    let last = distinct.len() - 1;
    let mut edges = Vec::new();
    let mut in_bin = 0;
    if distinct.len() <= bins {
        for (i, (_, rows)) in distinct[..last].iter().enumerate() {
            in_bin += rows;
            if in_bin >= BIN_ROWS {
                edges.push(middle(i));
                in_bin = 0;
            }
        }
        return edges;
    }
    let total: usize = distinct.iter().map(|(_, rows)| rows).sum();
    let bins = bins.min(total / BIN_ROWS).max(1);
    let mut mean = total as f64 / bins as f64;
    let is_big: Vec<bool> = distinct.iter().map(|(_, rows)| *rows as f64 >= mean).collect();
    let big_rows: usize =
        distinct.iter().zip(&is_big).filter(|(_, big)| **big).map(|((_, rows), _)| rows).sum();
    let big = is_big.iter().filter(|big| **big).count();
    let (mut rest_rows, mut rest_bins) = (total - big_rows, bins.saturating_sub(big));
    let average = |rows: usize, bins: usize| rows as f64 / bins.max(1) as f64;
    mean = average(rest_rows, rest_bins);
    for (i, (_, rows)) in distinct[..last].iter().enumerate() {
        if !is_big[i] {
            rest_rows -= rows;
        }
        in_bin += rows;
        let is_full = is_big[i]
            || in_bin as f64 >= mean
            || (is_big[i + 1] && in_bin as f64 >= (0.5 * mean).max(1.0));
        if is_full {
            edges.push(middle(i));
            if edges.len() + 1 >= bins {
                break;
            }
            in_bin = 0;
            if !is_big[i] {
                rest_bins = rest_bins.saturating_sub(1);
                mean = average(rest_rows, rest_bins);
            }
        }
    }
    edges
}

/// Grows a tree; answers it with the rows and the value of each leaf.
fn grow(features: &[Feature], residuals: &[f64]) -> (Vec<Node>, Vec<(Vec<u32>, f64)>) {
    let rows: Vec<u32> = (0..residuals.len() as u32).collect();
    let cells = histogram(features, residuals, &rows);
    let mut tree = vec![Node::Leaf(0.0)];
    let mut leaves = vec![leaf(0, rows, residuals.iter().sum(), cells, features)];
    while leaves.len() < LEAVES {
        let best = leaves
            .iter()
            .enumerate()
            .filter_map(|(i, leaf)| leaf.best.map(|best| (i, best)))
            .max_by(|a, b| a.1.gain.total_cmp(&b.1.gain));
        let Some((index, split)) = best else { break };
        let parent = leaves.swap_remove(index);
        let feature = &features[split.feature];
        let (low_rows, high_rows): (Vec<u32>, Vec<u32>) =
            parent.rows.iter().partition(|row| feature.bins[**row as usize] as usize <= split.bin);
        // Why only the smaller side is counted: the larger one is the rest.
        let is_low_smaller = low_rows.len() <= high_rows.len();
        let smaller = if is_low_smaller { &low_rows } else { &high_rows };
        let counted = histogram(features, residuals, smaller);
        let rest: Vec<Cell> = parent
            .cells
            .iter()
            .zip(&counted)
            .map(|(all, part)| Cell { sum: all.sum - part.sum, rows: all.rows - part.rows })
            .collect();
        let (low_cells, high_cells) =
            if is_low_smaller { (counted, rest) } else { (rest, counted) };
        let low_sum: f64 = low_rows.iter().map(|row| residuals[*row as usize]).sum();
        let (low, high) = (tree.len(), tree.len() + 1);
        tree.push(Node::Leaf(0.0));
        tree.push(Node::Leaf(0.0));
        let at = feature.edges[split.bin];
        tree[parent.node] = Node::Split { feature: split.feature, at, low, high };
        leaves.push(leaf(low, low_rows, low_sum, low_cells, features));
        leaves.push(leaf(high, high_rows, parent.sum - low_sum, high_cells, features));
    }
    let mut answer = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let value = LEARNING_RATE * leaf.sum / leaf.rows.len() as f64;
        tree[leaf.node] = Node::Leaf(value);
        answer.push((leaf.rows, value));
    }
    (tree, answer)
}

fn histogram(features: &[Feature], residuals: &[f64], rows: &[u32]) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); features.len() * BINS];
    for (feature, cells) in features.iter().zip(cells.chunks_mut(BINS)) {
        for row in rows {
            let cell = &mut cells[feature.bins[*row as usize] as usize];
            cell.sum += residuals[*row as usize];
            cell.rows += 1;
        }
    }
    cells
}

fn leaf(node: usize, rows: Vec<u32>, sum: f64, cells: Vec<Cell>, features: &[Feature]) -> Leaf {
    let best = best_split(rows.len(), sum, &cells, features);
    Leaf { node, rows, sum, cells, best }
}

fn best_split(rows: usize, sum: f64, cells: &[Cell], features: &[Feature]) -> Option<Candidate> {
    let parent = sum * sum / rows as f64;
    let mut best: Option<Candidate> = None;
    for (feature, cells) in cells.chunks(BINS).enumerate() {
        let mut low = Cell::default();
        for (bin, cell) in cells[..features[feature].edges.len()].iter().enumerate() {
            low.sum += cell.sum;
            low.rows += cell.rows;
            let high = rows - low.rows;
            if low.rows < LEAF_ROWS {
                continue;
            }
            if high < LEAF_ROWS {
                break;
            }
            let rest = sum - low.sum;
            let gain = low.sum * low.sum / low.rows as f64 + rest * rest / high as f64 - parent;
            // Why relative: gains of pure rounding must not grow leaves.
            if gain > 1e-12 * parent.max(f64::MIN_POSITIVE)
                && best.is_none_or(|best| gain > best.gain)
            {
                best = Some(Candidate { gain, feature, bin });
            }
        }
    }
    best
}
