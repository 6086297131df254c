//! From start to the first 200 of `/healthz`, and what the idle process holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Targets, example, fresh, machine, spread, work};
use crate::Outcome;
use crate::run::{Build, build, output, program, run, target};
use crate::server::{Server, free_port};

const ROUNDS: usize = 7;
const QUIET: Duration = Duration::from_secs(2);

/// A directory to start on and what the issue demands of it.
struct Place {
    name: String,
    dir: PathBuf,
    is_empty: bool,
    seconds: f64,
    mib: f64,
}

pub(super) fn start(built: bool, data_dir: Option<&Path>) -> Outcome {
    let binary = match built {
        true => target().join("release/viaduct"),
        false => build(Build::Release)?,
    };
    let work = work()?;
    let lived = |name: &str, dir: PathBuf| Place {
        name: name.to_owned(),
        dir,
        is_empty: false,
        seconds: 1.5,
        mib: 120.0,
    };
    let mut places = vec![
        Place {
            name: "empty directory".to_owned(),
            dir: work.join("start"),
            is_empty: true,
            seconds: 1.0,
            mib: 60.0,
        },
        lived("1M decisions, 20,000 runs", fill(&work, built)?),
    ];
    if let Some(dir) = data_dir {
        places.push(lived(&dir.display().to_string(), dir.to_path_buf()));
    }
    println!("{}", machine());
    println!("{ROUNDS} rounds; min / median / max; the median is judged in both");
    floor(&binary)?;
    let mut targets = Targets::default();
    for place in &places {
        measure(&binary, place, &work, &mut targets)?;
    }
    targets.done()
}

/// The directory that has lived: made once and kept, because making it takes minutes.
fn fill(work: &Path, built: bool) -> Outcome<PathBuf> {
    let dir = work.join("lived");
    let stamp = dir.join("bench.stamp");
    if stamp.is_file() {
        return Ok(dir);
    }
    let runs = example("viaduct-store", "runs", built)?;
    let decisions = example("viaduct-decisions", "million", built)?;
    fresh(&dir)?;
    run(program(runs).arg(&dir))?;
    run(program(decisions).arg("fill").arg(dir.join("decisions")))?;
    fs::write(&stamp, "").map_err(|e| format!("`{}`: {e}", stamp.display()))?;
    Ok(dir)
}

/// What no server of this binary can go below: the process that starts, says its version, and ends.
fn floor(binary: &Path) -> Outcome {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        output(program(binary).arg("--version"))?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let (min, median, max) = spread(times);
    println!("floor: `viaduct --version`   {min:.0} / {median:.0} / {max:.0} ms");
    Ok(())
}

fn measure(binary: &Path, place: &Place, work: &Path, targets: &mut Targets) -> Outcome {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        if place.is_empty {
            fresh(&place.dir)?;
        }
        let port = free_port()?;
        let mut command = program(binary);
        let listen = format!("127.0.0.1:{port}");
        command.args(["server", "--listen", &listen, "--data-dir"]).arg(&place.dir);
        let mut server = Server::start(&mut command, port, &work.join("start.log"))?;
        times.push(server.wait_for("/healthz", Duration::from_secs(30))?.as_secs_f64());
        sleep(QUIET);
        memory.push(server.resident_mib()?);
        server.stop()?;
    }
    let (min, median, max) = spread(times);
    let verdict = targets.below("start", median, place.seconds, "s");
    println!("{}", place.name);
    println!(
        "  start to /healthz   {min:.3} / {median:.3} / {max:.3} s   (target < {} s: {verdict})",
        place.seconds
    );
    let (min, median, max) = spread(memory);
    let verdict = targets.below("idle memory", median, place.mib, "MiB");
    println!(
        "  idle resident       {min:.1} / {median:.1} / {max:.1} MiB   (target < {} MiB: {verdict})",
        place.mib
    );
    Ok(())
}
