use std::fs;

use proptest::prelude::*;
use viaduct_base::{Span, Timestamp};
use viaduct_decisions::{DecisionLog, LogError, Record};

use crate::support::{ALWAYS, decision, endpoint, ids, refused, segments, small};

fn rows(count: usize) -> Vec<Record> {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    (0..count)
        .map(|n| {
            let at = start + Span::seconds(n as i64);
            match n % 7 {
                6 => refused(endpoint(1), at),
                _ => decision(endpoint(1), at, &"x".repeat(n * 13 % 40)).into(),
            }
        })
        .collect()
}

fn write(dir: &std::path::Path, rows: &[Record]) {
    let (log, _) = DecisionLog::open_with(dir, small(1 << 20)).unwrap();
    for row in rows {
        log.append(std::slice::from_ref(row)).unwrap();
    }
}

fn all(log: &DecisionLog) -> Vec<Record> {
    log.scan(None, ALWAYS.0, ALWAYS.1).map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_truncation_recovers_a_prefix_and_goes_on(count in 1usize..20, cut in 0.0f64..1.0) {
        let dir = tempfile::tempdir().unwrap();
        let rows = rows(count);
        write(dir.path(), &rows);
        let path = &segments(dir.path())[0];
        let length = fs::metadata(path).unwrap().len();
        let keep = (length as f64 * cut) as u64;
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();

        let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        let found = all(&log);
        prop_assert!(found.len() < rows.len() || keep == length);
        prop_assert_eq!(&found[..], &rows[..found.len()]);
        prop_assert!(report.corrupt.is_empty() || keep < 16, "{}", report);
        let more = decision(endpoint(1), "2026-02-01".parse().unwrap(), "after");
        log.append(&[more.clone().into()]).unwrap();
        drop(log);
        let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        prop_assert!(report.torn.is_none(), "{}", report);
        prop_assert_eq!(all(&log).len(), found.len() + 1);
        prop_assert_eq!(log.get(more.id).unwrap(), Some(more));
    }

    #[test]
    fn any_flipped_bit_is_found_and_costs_at_most_its_row(place in 0.0f64..1.0, bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let rows = rows(20);
        write(dir.path(), &rows);
        let path = &segments(dir.path())[0];
        let mut bytes = fs::read(path).unwrap();
        let at = 16 + ((bytes.len() - 16) as f64 * place) as usize;
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();

        let (log, report) = DecisionLog::open_with(dir.path(), small(1 << 20)).unwrap();
        let found: Vec<_> = log.scan(None, ALWAYS.0, ALWAYS.1).collect();
        let sound: Vec<_> = found.iter().filter_map(|row| row.as_ref().ok()).collect();
        prop_assert_eq!(sound.len(), 19, "{}", report);
        prop_assert!(sound.iter().all(|row| rows.contains(row)));
        let is_last = report.torn.is_some();
        prop_assert!(is_last || report.corrupt.len() == 1, "{}", report);
        let named = found.iter().any(|row| {
            matches!(row, Err(LogError::Corrupt { segment, .. }) if segment == "seg-0000000001.log")
        });
        prop_assert!(is_last || named);
    }
}

#[test]
fn damage_in_a_sealed_segment_is_named_with_its_offset() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(60);
    {
        let (log, _) = DecisionLog::open_with(dir.path(), small(8_000)).unwrap();
        for row in &rows {
            log.append(std::slice::from_ref(row)).unwrap();
        }
    }
    let path = &segments(dir.path())[1];
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x10;
    fs::write(path, &bytes).unwrap();

    let (log, report) = DecisionLog::open_with(dir.path(), small(8_000)).unwrap();
    assert!(report.is_clean(), "a sealed segment is not read at start: {report}");
    let damage = log.verify().unwrap();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].segment, "seg-0000000002.log");
    assert!((damage[0].offset..damage[0].offset + damage[0].bytes).contains(&(at as u64)));
    let errors: Vec<_> =
        log.scan(None, ALWAYS.0, ALWAYS.1).filter_map(Result::err).map(|e| e.to_string()).collect();
    assert_eq!(errors.len(), 1);
    let named = format!("damaged at offset {}", damage[0].offset);
    assert!(errors[0].contains(&named), "{} does not say {named}", errors[0]);
    assert_eq!(log.scan(None, ALWAYS.0, ALWAYS.1).filter(Result::is_ok).count(), 59);
    // Asking for the damaged row itself says the same instead of "not found".
    let lost = rows.iter().find_map(|row| match row {
        Record::Decision(row) if log.get(row.id).is_err() => Some(row.id),
        _ => None,
    });
    assert!(lost.is_some() || damage[0].bytes < 300, "a refused row has no id");
}

#[test]
fn a_damaged_index_is_made_again_or_names_itself() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(40);
    {
        let (log, _) = DecisionLog::open_with(dir.path(), small(8_000)).unwrap();
        for row in &rows {
            log.append(std::slice::from_ref(row)).unwrap();
        }
    }
    let index = segments(dir.path())[0].with_extension("idx");
    let good = fs::read(&index).unwrap();
    // Its directory: found at the start and made again.
    let mut bytes = good.clone();
    let foot = bytes.len() - 30;
    bytes[foot] ^= 1;
    fs::write(&index, &bytes).unwrap();
    let (log, report) = DecisionLog::open_with(dir.path(), small(8_000)).unwrap();
    assert_eq!(report.rebuilt, ["seg-0000000001.log"]);
    assert_eq!(ids(&log).len(), 35);
    drop(log);
    // Its arrays: found at the first search.
    let mut bytes = good.clone();
    bytes[3] ^= 1;
    fs::write(&index, &bytes).unwrap();
    let (log, _) = DecisionLog::open_with(dir.path(), small(8_000)).unwrap();
    let Record::Decision(first) = &rows[0] else { panic!() };
    let error = log.get(first.id).unwrap_err().to_string();
    assert!(error.contains("seg-0000000001.idx") && error.contains("delete it"), "{error}");
}
