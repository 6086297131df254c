//! The same rows for both sides, and a PostgreSQL for those that want one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::bench::{fresh, work};
use crate::run::{output, program, root, run};

/// The run with a long history, and its points.
pub(super) const LONG_RUN: &str = "ffffffffffffffffffffffffffffffff";
pub(super) const LONG_POINTS: usize = 100_000;

const REQUIREMENTS: &str = "xtask/bench/requirements-mlflow.txt";

/// Where the stock server's programs are, made once for what the requirements say.
pub(super) fn environment() -> Outcome<PathBuf> {
    let venv = work()?.join("venv-mlflow");
    let (python, stamp) = (venv.join("bin/python"), venv.join("requirements.stamp"));
    let wanted = fs::read_to_string(root().join(REQUIREMENTS))
        .map_err(|e| format!("`{REQUIREMENTS}`: {e}"))?;
    if python.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return Ok(venv.join("bin"));
    }
    if !python.is_file() {
        run(program(crate::setup::system_python()?).args(["-m", "venv"]).arg(&venv))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(program(&python).args(pip).args(["-r", REQUIREMENTS]))?;
    fs::write(&stamp, wanted).map_err(|e| format!("`{}`: {e}", stamp.display()))?;
    Ok(venv.join("bin"))
}

/// The databases of one size.
pub(super) struct Seeded {
    /// Stock's, as SQLAlchemy writes it.
    pub stock: String,
    /// Our data directory.
    pub data: PathBuf,
    /// Our database, when it is not the file in the directory.
    pub database: Option<String>,
}

/// Makes fresh databases with that many runs: stock's by plain inserts, ours by importing that.
pub(super) fn seed(
    bin: &Path,
    binary: &Path,
    runs: usize,
    postgres: Option<&Postgres>,
) -> Outcome<Seeded> {
    let dir = work()?.join(format!("mlflow-{runs}"));
    fresh(&dir)?;
    let data = dir.join("data");
    let (stock, database) = match postgres {
        Some(postgres) => {
            let name = |side: &str| format!("{side}{runs}");
            let stock = postgres.database(&name("stock"))?;
            // Why the driver's name: SQLAlchemy 2.1 takes another one by default.
            let stock = stock.replacen("postgresql://", "postgresql+psycopg2://", 1);
            (stock, Some(postgres.database(&name("ours"))?))
        }
        None => (format!("sqlite:///{}", dir.join("stock.db").display()), None),
    };
    silent(program(bin.join("mlflow")).args(["db", "upgrade", &stock]))?;
    let (runs, points) = (runs.to_string(), LONG_POINTS.to_string());
    let script = ["xtask/bench/mlflow_seed.py", &stock, &runs, &points, LONG_RUN];
    output(program(bin.join("python")).args(script))?;
    let mut import = program(binary);
    import.args(["import", "mlflow", "--from", &stock, "--data-dir"]).arg(&data);
    if let Some(url) = &database {
        import.args(["--database", url]);
    }
    silent(&mut import)?;
    Ok(Seeded { stock, data, database })
}

/// Runs what talks while it works; what it says is told when it fails.
pub(super) fn silent(command: &mut Command) -> Outcome {
    let shown = format!("{command:?}");
    let done = command.stdin(Stdio::null()).output().map_err(|e| format!("{shown}: {e}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("{shown} failed: {}", String::from_utf8_lossy(&done.stderr))),
    }
}

/// A throw-away PostgreSQL with the durability that it has by default.
pub(super) struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
}

impl Postgres {
    pub(super) fn start() -> Outcome<Self> {
        let bin = find_bin()?;
        let dir = std::env::temp_dir().join(format!("viaduct-bench-{}", std::process::id()));
        fresh(&dir)?;
        let postgres = Self { bin, dir };
        if is_root()? {
            // PostgreSQL refuses root.
            run(program("chown").arg("postgres:postgres").arg(&postgres.dir))?;
        }
        let data = postgres.dir.join("data");
        let mut init = postgres.tool("initdb");
        init.arg("-D").arg(&data).args(["-A", "trust", "-U", "postgres", "-E", "UTF8"]);
        output(&mut init)?;
        let options =
            format!("-c listen_addresses='' -k {} -c max_connections=200", postgres.dir.display());
        let mut start = postgres.tool("pg_ctl");
        start.arg("-D").arg(&data).args(["-o", &options, "-w", "-l"]);
        start.arg(postgres.dir.join("log")).arg("start").stdout(Stdio::null());
        run(&mut start)?;
        Ok(postgres)
    }

    /// The address of a fresh database.
    fn database(&self, name: &str) -> Outcome<String> {
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(format!("postgresql://postgres@/{name}?host={}", self.dir.display()))
    }

    /// What makes a commit durable here.
    pub(super) fn durability(&self) -> Outcome<String> {
        let shown =
            |name: &str| self.sql(&format!("SHOW {name}")).map(|text| text.trim().to_owned());
        Ok(format!(
            "fsync={}, synchronous_commit={}",
            shown("fsync")?,
            shown("synchronous_commit")?
        ))
    }

    fn sql(&self, text: &str) -> Outcome<String> {
        let mut psql = self.tool("psql");
        psql.arg("-h")
            .arg(&self.dir)
            .args(["-U", "postgres", "-d", "postgres", "-qAt", "-c", text]);
        output(&mut psql)
    }

    fn tool(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = match is_root() {
            Ok(true) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(path);
                command
            }
            _ => Command::new(path),
        };
        command.current_dir("/tmp");
        command
    }

    pub(super) fn stop(&self) -> Outcome {
        let mut stop = self.tool("pg_ctl");
        stop.arg("-D").arg(self.dir.join("data")).args(["-m", "immediate", "-w", "stop"]);
        run(stop.stdout(Stdio::null()))?;
        fs::remove_dir_all(&self.dir).map_err(|e| format!("`{}`: {e}", self.dir.display()))
    }
}

fn is_root() -> Outcome<bool> {
    output(program("id").arg("-u")).map(|id| id.trim() == "0")
}

fn find_bin() -> Outcome<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|v| v.path().join("bin")).filter(|bin| bin.join("initdb").is_file()).collect();
    found.sort();
    found.pop().ok_or_else(|| "no PostgreSQL: run `cargo xtask setup`".to_owned())
}
