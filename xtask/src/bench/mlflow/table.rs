//! The table: both figures, their ratio, the target.

/// Which figure is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

impl Better {
    /// Whether the second of two figures of stock is its better one.
    pub(super) fn is_first_worse(self, first: f64, second: f64) -> bool {
        match self {
            Better::More => second > first,
            Better::Less => second < first,
        }
    }
}

/// A row.
pub(super) struct Row {
    pub what: String,
    pub unit: &'static str,
    pub stock: f64,
    /// The configuration of stock that gave its figure.
    pub which: String,
    pub ours: f64,
    pub better: Better,
    /// How many times better; zero and nothing mean that it is only shown.
    pub wanted: Option<f64>,
}

impl Row {
    fn ratio(&self) -> f64 {
        match self.better {
            Better::More => self.ours / self.stock,
            Better::Less => self.stock / self.ours,
        }
    }
}

/// Rows as they come.
pub(super) struct Table {
    is_judged: bool,
    rows: Vec<Row>,
    missed: Vec<String>,
}

impl Table {
    pub(super) fn new(is_judged: bool) -> Self {
        Self { is_judged, rows: Vec::new(), missed: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A target that no peer is compared for.
    pub(super) fn demand(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        // Why so: a figure that is not a number meets nothing.
        let met = value < limit;
        if self.is_judged && !met {
            self.missed.push(format!("{what} is {value:.1} {unit}, target below {limit} {unit}"));
        }
    }

    pub(super) fn print(&mut self) {
        println!("| work | stock 3.17.2 | ours | ratio | target |");
        println!("|---|---|---|---|---|");
        for row in &self.rows {
            let ratio = row.ratio();
            let wanted = row.wanted.filter(|wanted| *wanted > 0.0 && self.is_judged);
            let verdict = match wanted {
                None => String::new(),
                Some(wanted) if ratio >= wanted => format!("{wanted:.0}x: met"),
                Some(wanted) => {
                    self.missed.push(format!("{} is {ratio:.1}x, target {wanted:.0}x", row.what));
                    format!("{wanted:.0}x: MISSED")
                }
            };
            println!(
                "| {} | {} {} ({}) | {} {} | {ratio:.1}x | {verdict} |",
                row.what,
                figure(row.stock),
                row.unit,
                row.which,
                figure(row.ours),
                row.unit,
            );
        }
    }

    pub(super) fn missed(self) -> Vec<String> {
        self.missed
    }
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
