//! What the models said, row by row, and what went wrong.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use viaduct_base::Refusal;
use viaduct_decisions::OutputAt;
use viaduct_domain::assign::Variant;
use viaduct_domain::columns::{Cells, Column, Columns, Outputs};

use crate::counts;
use crate::endpoint::Endpoint;
use crate::models::{Slot, Unanswered};
use crate::place::Place;
use crate::snapshot::Fallback;

/// Which of an endpoint's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Champion,
    Challenger,
    Previous,
}

/// Why the model of a row's variant did not answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The kill switch was thrown: it was not asked.
    Killed,
    /// It could not be loaded, or failed.
    Failed,
    /// Its output has a number that is not finite.
    NotFinite,
}

/// What became of one row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// The output, also one that must not decide.
    pub(crate) at: Option<OutputAt>,
    /// Whose output it is.
    pub(crate) which: Option<Which>,
    pub(crate) trouble: Option<Trouble>,
    /// Whether another version answered in its stead.
    pub(crate) is_relieved: bool,
}

impl Told {
    /// Whether its output may decide.
    pub(crate) fn is_good(&self) -> bool {
        self.at.is_some() && (self.trouble.is_none() || self.is_relieved)
    }
}

/// What the models said about a request.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) sets: Vec<Outputs>,
    pub(crate) told: Vec<Told>,
    /// Why the champion (or whoever was asked last) did not answer.
    pub(crate) failure: Option<Failure>,
}

/// A model that was not to be had.
#[derive(Debug)]
pub(crate) enum Failure {
    Unready(Refusal),
    Failed(String),
}

/// A cell that an awaited model's input cannot hold.
#[derive(Debug)]
pub(crate) struct BadCell {
    pub(crate) row: usize,
    pub(crate) field: String,
    pub(crate) detail: String,
}

/// Asks every model that a row needs, each once where nothing fails.
///
/// A challenger that cannot answer is relieved by the champion: its rollout must not cost callers
/// an answer. Where nobody waits (shadow, or withheld), a failure is counted and costs nothing.
pub(crate) fn ask(
    endpoint: &Endpoint,
    columns: &Columns,
    places: &[Place],
) -> Result<Said, BadCell> {
    let told = vec![Told::default(); places.len()];
    let mut said = Said { sets: Vec::new(), told, failure: None };
    if endpoint.spec.killed.is_some() {
        for (told, place) in said.told.iter_mut().zip(places) {
            if place.is_answered_by_model() {
                told.trouble = Some(Trouble::Killed);
            }
        }
    }
    let of = |wanted: &dyn Fn(&Place) -> bool| -> Vec<usize> {
        let scored = places.iter().enumerate().filter(|(_, place)| place.scored && wanted(place));
        scored.map(|(row, _)| row).collect()
    };
    let challenged = of(&|place| place.variant == Variant::Challenger);
    if let Some(slot) = &endpoint.challenger {
        said.ask_one(endpoint, Which::Challenger, slot, columns, challenged, places)?;
    }
    let mut rows = of(&|place| place.variant != Variant::Challenger);
    let before = rows.len();
    rows.extend(
        said.in_trouble(places, |place| place.variant == Variant::Challenger && place.scored),
    );
    if rows.len() > before {
        rows.sort_unstable();
    }
    match &endpoint.champion {
        Ok(slot) => said.ask_one(endpoint, Which::Champion, slot, columns, rows, places)?,
        Err(refusal) if !rows.is_empty() => {
            said.fail(&rows, Failure::Unready(refusal.clone()));
        }
        Err(_) => {}
    }
    if let (Fallback::Previous, Some(slot)) = (&endpoint.spec.fallback, &endpoint.previous) {
        let rows = said.in_trouble(places, Place::is_answered_by_model);
        said.ask_one(endpoint, Which::Previous, slot, columns, rows, places)?;
    }
    Ok(said)
}

impl Said {
    /// Rows in trouble that nobody relieved.
    fn in_trouble(&self, places: &[Place], wanted: impl Fn(&Place) -> bool) -> Vec<usize> {
        let rows = self.told.iter().zip(places).enumerate();
        rows.filter(|(_, (told, place))| {
            told.trouble.is_some() && !told.is_relieved && wanted(place)
        })
        .map(|(row, _)| row)
        .collect()
    }

    fn fail(&mut self, rows: &[usize], failure: Failure) {
        for row in rows {
            self.told[*row].trouble.get_or_insert(Trouble::Failed);
        }
        self.failure = Some(failure);
    }

    fn ask_one(
        &mut self,
        endpoint: &Endpoint,
        which: Which,
        slot: &Slot,
        columns: &Columns,
        rows: Vec<usize>,
        places: &[Place],
    ) -> Result<(), BadCell> {
        if rows.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let answer = slot.ask(&pick(columns, &rows), endpoint.longest(start));
        let took = start.elapsed();
        endpoint.counters.model_duration.observe(took);
        let own = |row: &usize| match which {
            Which::Challenger => true,
            Which::Champion => places[*row].variant != Variant::Challenger,
            Which::Previous => false,
        };
        let tallies: Vec<_> = endpoint
            .tallies()
            .map(|tally| {
                let of = |row: &&usize| own(row) && places[**row].variant == tally.variant;
                (tally, rows.iter().filter(of).count() as u64)
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        for (tally, _) in &tallies {
            tally.latency.observe(took);
            endpoint.counters.variant(tally.variant).latency.observe(took);
        }
        match answer {
            Ok(outputs) => self.take(endpoint, which, outputs, &rows, places),
            Err(Unanswered::Cell { field, row, detail })
                if which != Which::Previous
                    && rows.iter().any(|row| places[*row].is_answered_by_model()) =>
            {
                let row = rows.get(row).copied().unwrap_or(row);
                return Err(BadCell { row, field, detail });
            }
            Err(error) => {
                endpoint.counters.model_failed();
                for (tally, count) in &tallies {
                    counts::add(&tally.errors, *count);
                    counts::add(&endpoint.counters.variant(tally.variant).errors, *count);
                }
                let failure = match error {
                    Unanswered::Unready(refusal) => Failure::Unready(refusal),
                    Unanswered::Failed(detail) | Unanswered::Cell { detail, .. } => {
                        Failure::Failed(detail)
                    }
                };
                self.fail(&rows, failure);
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        endpoint: &Endpoint,
        which: Which,
        outputs: Outputs,
        rows: &[usize],
        places: &[Place],
    ) {
        let set = u16::try_from(self.sets.len()).unwrap_or(u16::MAX);
        for (number, row) in rows.iter().enumerate() {
            let told = &mut self.told[*row];
            let is_finite = !outputs.has_non_finite(number);
            if is_finite || told.at.is_none() {
                told.at = Some(OutputAt { set, row: number as u32 });
                told.which = Some(which);
            }
            if is_finite {
                told.is_relieved = told.trouble.is_some();
            } else if told.trouble.is_none() {
                told.trouble = Some(Trouble::NotFinite);
                if let Some(tally) = endpoint.tally(places[*row].variant) {
                    counts::add(&tally.nan, 1);
                    counts::add(&endpoint.counters.variant(tally.variant).not_finite, 1);
                }
            }
        }
        self.sets.push(outputs);
    }
}

/// Those rows of the columns; all of them cost nothing.
pub(crate) fn pick<'a>(columns: &'a Columns, rows: &[usize]) -> Cow<'a, Columns> {
    if rows.len() == columns.rows {
        return Cow::Borrowed(columns);
    }
    fn cells<T: Clone>(cells: &[T], rows: &[usize]) -> Vec<T> {
        rows.iter().filter_map(|row| cells.get(*row).cloned()).collect()
    }
    let picked = columns.columns.iter().map(|(name, column)| {
        let found = match &column.cells {
            Cells::F32(all) => Cells::F32(cells(all, rows)),
            Cells::F64(all) => Cells::F64(cells(all, rows)),
            Cells::I64(all) => Cells::I64(cells(all, rows)),
            Cells::Bool(all) => Cells::Bool(cells(all, rows)),
            Cells::Text(all) => Cells::Text(cells(all, rows)),
        };
        let nulls = column.nulls.as_deref().map(|nulls| cells(nulls, rows));
        (Arc::clone(name), Column { cells: found, nulls })
    });
    Cow::Owned(Columns { rows: rows.len(), columns: picked.collect() })
}
