//! Tracking beside a stock `mlflow server`, in one run and each row against its best configuration.

mod http;
mod load;
mod process;
mod seed;
mod sides;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{machine, work};
use crate::Outcome;
use crate::run::{Build, build, output, program, target};
use load::{Carried, Load};
use seed::{Postgres, Seeded};
use sides::{Running, Stock};
use table::{Better, Row, Table};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Measure what was built before
    #[arg(long)]
    built: bool,
    /// Measure this binary
    #[arg(long, value_name = "FILE", conflicts_with = "built")]
    binary: Option<PathBuf>,
    /// Sizes of the experiment that is searched
    #[arg(long, value_delimiter = ',', default_value = "20000")]
    runs: Vec<usize>,
    /// On PostgreSQL, too
    #[arg(long)]
    postgres: bool,
    /// Seconds of each row
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// The size whose rows have targets.
const JUDGED: usize = 20_000;

pub(super) fn mlflow(options: &Options) -> Outcome {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None if options.built => target().join("release/viaduct"),
        None => build(Build::Release)?,
    };
    println!("ours: `{}`", binary.display());
    let bin = seed::environment()?;
    let time = Duration::from_secs(options.seconds);
    println!("{}", machine());
    let version = output(program(bin.join("mlflow")).arg("--version"))?;
    println!(
        "stock: {}; each row against its best of 1 and 2 workers, no jobs, quick acknowledgements",
        version.trim()
    );
    let ceiling = load::ceiling(Duration::from_secs(2))?;
    println!(
        "the generator's own ceiling, {} clients: {:.0} calls/s, p99 {:.2} ms",
        load::CLIENTS,
        ceiling.rate,
        ceiling.p99
    );
    let mut missed = Vec::new();
    for runs in &options.runs {
        println!("\n### SQLite, {runs} runs\n");
        println!(
            "durability: ours WAL, synchronous=FULL, one fsync a group of commits; stock rollback journal, synchronous=FULL, one commit a call\n"
        );
        missed.extend(pass(&bin, &binary, *runs, time, None)?);
    }
    if options.postgres {
        let postgres = Postgres::start()?;
        println!("\n### PostgreSQL, {JUDGED} runs\n");
        println!(
            "durability of both: {}; the CPU is the tracking server's, without the database's\n",
            postgres.durability()?
        );
        let done = pass(&bin, &binary, JUDGED, time, Some(&postgres));
        postgres.stop()?;
        missed.extend(done?);
    }
    println!("\nat the end: {}", machine());
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {}", missed.join("; "))) }
}

/// One engine and size; answers what missed its target.
fn pass(
    bin: &Path,
    binary: &Path,
    runs: usize,
    time: Duration,
    postgres: Option<&Postgres>,
) -> Outcome<Vec<String>> {
    let seeded = seed::seed(bin, binary, runs, postgres)?;
    let mut table = Table::new(runs == JUDGED);
    let two = {
        let stock = Running::stock(bin, Stock::Workers(2), &seeded)?;
        let writes = Writes::measure(&stock, time)?;
        stock.stop()?;
        writes
    };
    let stock = Running::stock(bin, Stock::Workers(1), &seeded)?;
    let stock_start = stock.first_search;
    let one = Writes::measure(&stock, time)?;
    let stock_reads = Reads::measure(&stock, time)?;
    let stock_carried = stock.target(time).carry()?;
    stock.stop()?;
    let ours = Running::ours(binary, &seeded)?;
    let ours_start = ours.first_search;
    let writes = Writes::measure(&ours, time)?;
    let reads = Reads::measure(&ours, time)?;
    let carried = ours.target(time).carry()?;
    ours.stop()?;
    write_rows(&mut table, [&one, &two], &writes, postgres.is_some());
    read_rows(&mut table, &stock_reads, &reads);
    carry_rows(&mut table, &stock_carried, &carried);
    if postgres.is_none() {
        idle_rows(&mut table, bin, binary, stock_start.min(f64::INFINITY), ours_start)?;
    }
    table.print();
    Ok(table.missed())
}

/// Rows that write.
struct Writes {
    metric: Load,
    batch: Load,
    create: Load,
}

impl Writes {
    fn measure(server: &Running, time: Duration) -> Outcome<Self> {
        let target = server.target(time);
        Ok(Self {
            metric: target.log_metric()?,
            batch: target.log_batch()?,
            create: target.create_and_batch()?,
        })
    }
}

/// Rows that read.
struct Reads {
    page: Load,
    ordered: Load,
    history: Load,
    chart: Load,
}

impl Reads {
    fn measure(server: &Running, time: Duration) -> Outcome<Self> {
        let target = server.target(time);
        Ok(Self {
            page: target.search_page()?,
            ordered: target.search_ordered()?,
            history: target.history()?,
            chart: target.chart()?,
        })
    }
}

fn write_rows(table: &mut Table, stock: [&Writes; 2], ours: &Writes, is_postgres: bool) {
    let names = [Stock::Workers(1).name(), Stock::Workers(2).name()];
    let mut add = |what: &str, unit, of: fn(&Writes) -> f64, better: Better, wanted: f64| {
        let values = stock.map(of);
        let best = usize::from(better.is_first_worse(values[0], values[1]));
        table.add(Row {
            what: what.to_owned(),
            unit,
            stock: values[best],
            which: names[best].clone(),
            ours: of(ours),
            better,
            wanted: Some(wanted),
        });
    };
    add("`log_metric`, 8 clients", "calls/s", |w| w.metric.rate, Better::More, 30.0);
    add("… p50", "ms", |w| w.metric.p50, Better::Less, 0.0);
    add("… p99", "ms", |w| w.metric.p99, Better::Less, 20.0);
    add("… server CPU a call", "ms", |w| w.metric.cpu, Better::Less, 40.0);
    let batch = if is_postgres { 8.0 } else { 20.0 };
    add("`log_batch` of 1000, 1 client", "metrics/s", |w| w.batch.rate, Better::More, batch);
    add("create run + batch, 8 clients", "runs/s", |w| w.create.rate, Better::More, 30.0);
    add("… p99", "ms", |w| w.create.p99, Better::Less, 0.0);
}

fn read_rows(table: &mut Table, stock: &Reads, ours: &Reads) {
    let mut add = |what: &str, of: fn(&Reads) -> f64, wanted: f64| {
        table.add(Row {
            what: what.to_owned(),
            unit: "ms",
            stock: of(stock),
            which: Stock::Workers(1).name(),
            ours: of(ours),
            better: Better::Less,
            wanted: Some(wanted),
        });
    };
    add("search by metric and param, ordered, 100: p50", |r| r.page.p50, 20.0);
    add("search ordered by a metric, 1000 rows: p50", |r| r.ordered.p50, 200.0);
    add("history of 100,000 points: p50", |r| r.history.p50, 15.0);
    add("chart, 320 of them: p50", |r| r.chart.p50, 30.0);
}

fn carry_rows(table: &mut Table, stock: &Carried, ours: &Carried) {
    let mut add = |what: &str, unit, of: fn(&Carried) -> f64, better, wanted| {
        table.add(Row {
            what: what.to_owned(),
            unit,
            stock: of(stock),
            which: Stock::Workers(1).name(),
            ours: of(ours),
            better,
            wanted,
        });
    };
    add("100 MiB artifact up", "MB/s", |c| c.up, Better::More, Some(1.0));
    add("100 MiB artifact down", "MB/s", |c| c.down, Better::More, Some(1.0));
    add("… memory grown meanwhile", "MiB", |c| c.grown, Better::Less, None);
    table.demand("memory grown by 100 MiB artifacts", ours.grown, 32.0, "MiB");
}

/// Start and idle memory on an empty folder, against a stock server as it comes and the leanest.
fn idle_rows(
    table: &mut Table,
    bin: &Path,
    binary: &Path,
    stock_lived: f64,
    ours_lived: f64,
) -> Outcome {
    let dir = work()?.join("mlflow-idle");
    super::fresh(&dir)?;
    let seeded = Seeded {
        stock: format!("sqlite:///{}", dir.join("stock.db").display()),
        data: dir.join("data"),
        database: None,
    };
    // Why first: making the tables is not a start.
    seed::silent(program(bin.join("mlflow")).args(["db", "upgrade", &seeded.stock]))?;
    Running::ours(binary, &seeded)?.stop()?;
    let measure = |running: Running| -> Outcome<(f64, f64, f64)> {
        let (resident, proportional) = running.idle_memory();
        let start = running.first_search;
        running.stop()?;
        Ok((start, resident, proportional))
    };
    let default = measure(Running::stock(bin, Stock::Default, &seeded)?)?;
    let lean = measure(Running::stock(bin, Stock::Workers(1), &seeded)?)?;
    let ours = measure(Running::ours(binary, &seeded)?)?;
    let mut add = |what: &str, unit, which: Stock, stock: f64, ours: f64, wanted| {
        let (what, which) = (what.to_owned(), which.name());
        table.add(Row { what, unit, stock, which, ours, better: Better::Less, wanted });
    };
    let (one, all) = (Stock::Workers(1), Stock::Default);
    add("start to first search, empty", "s", one, lean.0, ours.0, Some(20.0));
    add("start to first search, seeded", "s", one, stock_lived, ours_lived, None);
    add("resident idle", "MiB", all, default.1, ours.1, Some(30.0));
    add("resident idle", "MiB", one, lean.1, ours.1, Some(6.0));
    add("… shared pages counted once", "MiB", all, default.2, ours.2, None);
    add("… shared pages counted once", "MiB", one, lean.2, ours.2, None);
    Ok(())
}
