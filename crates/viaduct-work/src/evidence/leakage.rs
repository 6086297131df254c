//! M3: three probes for information that a model cannot have when it decides.

use std::collections::{BTreeMap, HashSet};

use viaduct_stats::auc;

use super::table::{BadTable, Table};

/// A feature and how well it alone separates the classes: max(AUC, 1 − AUC), from 0.5 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureAuc {
    /// The feature.
    pub feature: String,
    /// Its separation.
    pub auc: f64,
}

/// How many rows of the test the training also holds, by `row_id`.
///
/// # Errors
/// Refuses tables without `row_id`.
pub fn id_overlap(train: &Table, test: &Table) -> Result<u64, BadTable> {
    let known: HashSet<&str> = train.column("row_id")?.collect();
    Ok(test.column("row_id")?.filter(|id| known.contains(id)).count() as u64)
}

/// Every feature's separation on the test rows between `y` above `positive_above` and the rest,
/// strongest first. A column of numbers is its own
/// score; any other is scored by its category's mean `y` in the training rows (so that rare
/// categories cannot fit the test by chance), unseen ones by the overall mean. Features on which
/// the AUC is undefined (one class only) are left out.
///
/// # Errors
/// Refuses a missing or unreadable `y`, and a feature that only one table has.
pub fn feature_aucs(
    train: &Table,
    test: &Table,
    positive_above: f64,
) -> Result<Vec<FeatureAuc>, BadTable> {
    let (y_train, y_test) = (train.numbers("y")?, test.numbers("y")?);
    let labels: Vec<bool> = y_test.iter().map(|y| *y > positive_above).collect();
    let mut found = Vec::new();
    for feature in test.features() {
        let scores = match (test.numbers(feature), train.numbers(feature)) {
            (Ok(numbers), Ok(_)) => numbers,
            _ => encoded(train.column(feature)?, &y_train, test.column(feature)?),
        };
        if let Ok(value) = auc(&scores, &labels) {
            found.push(FeatureAuc { feature: feature.to_owned(), auc: value.max(1.0 - value) });
        }
    }
    found.sort_by(|a, b| b.auc.total_cmp(&a.auc));
    Ok(found)
}

fn encoded<'a>(
    train: impl Iterator<Item = &'a str>,
    y_train: &[f64],
    test: impl Iterator<Item = &'a str>,
) -> Vec<f64> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (category, y) in train.zip(y_train) {
        let entry = sums.entry(category).or_default();
        entry.0 += y;
        entry.1 += 1.0;
    }
    let overall = y_train.iter().sum::<f64>() / y_train.len().max(1) as f64;
    test.map(|category| sums.get(category).map_or(overall, |(sum, n)| sum / n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Table {
        Table::read("t.csv", format!("row_id,decided_at,y,a,b\n{rows}").as_bytes()).unwrap()
    }

    #[test]
    fn finds_the_leak() {
        let train = table(
            "1,2026-01-01,0,1,x\n2,2026-01-01,1,2,y\n3,2026-01-01,0,2,x\n4,2026-01-01,1,1,y\n",
        );
        let test = table(
            "4,2026-02-01,0,1,x\n6,2026-02-01,1,2,y\n7,2026-02-01,0,2,x\n8,2026-02-01,1,1,z\n",
        );
        assert_eq!(id_overlap(&train, &test).unwrap(), 1);
        let found = feature_aucs(&train, &test, 0.5).unwrap();
        assert_eq!(found[0].feature, "b");
        assert!((found[0].auc - 1.0).abs() < 1e-12, "{found:?}");
        assert!((found[1].auc - 0.5).abs() < 1e-12, "{found:?}");
    }
}
