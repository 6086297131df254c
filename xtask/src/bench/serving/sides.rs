//! The servers that are measured, each alone on the machine's loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http::demand;
use super::load::Ask;
use crate::Outcome;
use crate::run::{output, program, root, run};
use crate::server::{Server, free_port};

const PATIENCE: Duration = Duration::from_secs(90);
const JSON: &str = "Content-Type: application/json";

/// What all sides share.
pub(super) struct Bench {
    /// The binary under measurement.
    pub viaduct: PathBuf,
    /// The in-process measurement of the gateway.
    pub corridor: PathBuf,
    /// The virtual environment of the peers.
    pub venv: PathBuf,
    /// Models, bodies, logs, data directories.
    pub work: PathBuf,
    /// The ONNX runtime: the very file that the peers load.
    pub library: PathBuf,
    /// Seconds of one measurement.
    pub seconds: u64,
}

/// A server that ends with its scope.
pub(super) struct Side(Option<Server>);

impl Drop for Side {
    fn drop(&mut self) {
        if let Some(Err(detail)) = self.0.take().map(Server::stop) {
            eprintln!("{detail}");
        }
    }
}

impl Side {
    fn server(&self) -> Outcome<&Server> {
        self.0.as_ref().ok_or_else(|| "the server was stopped".to_owned())
    }

    pub(super) fn port(&self) -> Outcome<u16> {
        Ok(self.server()?.port)
    }

    pub(super) fn resident_mib(&self) -> Outcome<f64> {
        self.server()?.resident_mib()
    }

    /// A request with one of the prepared bodies.
    pub(super) fn ask(&self, path: &str, headers: &str, body: PathBuf) -> Outcome<Ask> {
        let server = self.server()?;
        let (path, headers) = (path.to_owned(), headers.to_owned());
        Ok(Ask { port: server.port, pid: server.pid(), path, headers, body })
    }

    /// The Open Inference Protocol in JSON.
    pub(super) fn oip(&self, bench: &Bench, model: &str, rows: usize) -> Outcome<Ask> {
        let body = bench.work.join(format!("{model}-oip-{rows}.json"));
        self.ask(&format!("/v2/models/{model}/infer"), JSON, body)
    }

    /// The same with binary tensors.
    pub(super) fn binary(&self, bench: &Bench, model: &str, rows: usize) -> Outcome<Ask> {
        let named = |end: &str| bench.work.join(format!("{model}-binary-{rows}.{end}"));
        let head = fs::read_to_string(named("head")).map_err(|e| format!("the head: {e}"))?;
        let headers = format!(
            "Content-Type: application/octet-stream\nInference-Header-Content-Length: {head}"
        );
        self.ask(&format!("/v2/models/{model}/infer"), &headers, named("bin"))
    }

    /// Records: the body that the hand-written server takes and our own path takes too.
    pub(super) fn records(&self, bench: &Bench, path: &str) -> Outcome<Ask> {
        self.ask(path, JSON, bench.work.join("trees-rows-1.json"))
    }

    /// A gRPC message, for h2load.
    pub(super) fn grpc(&self, bench: &Bench, rows: usize) -> Outcome<Ask> {
        let body = bench.work.join(format!("trees-grpc-{rows}.bin"));
        let path = "/inference.GRPCInferenceService/ModelInfer";
        self.ask(path, "content-type: application/grpc\nte: trailers", body)
    }
}

impl Bench {
    pub(super) fn python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    pub(super) fn prepare(&self, verb: &[&str]) -> Outcome {
        let mut python = program(self.python());
        run(python.arg("xtask/bench/serving_prepare.py").args(verb).env("NO_PROXY", "*"))
    }

    /// Ours on that directory; not yet waited for.
    pub(super) fn begin(&self, data: &Path) -> Outcome<Server> {
        let port = free_port()?;
        let mut command = program(&self.viaduct);
        command.args(["server", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(data);
        command.env("VIADUCT__RUNTIME__LIBRARY", &self.library);
        Server::start(&mut command, port, &self.work.join("viaduct.log"))
    }

    /// Ours, ready; decision log and contract check are always on.
    pub(super) fn viaduct(&self, data: &Path) -> Outcome<Side> {
        let mut server = self.begin(data)?;
        let ready = server.wait_for("/readyz", PATIENCE);
        let side = Side(Some(server));
        ready.map(|_| side)
    }

    /// Registers both models, as a person does, and deploys them.
    pub(super) fn deploy(&self, side: &Side) -> Outcome {
        let port = side.port()?;
        let url = format!("http://127.0.0.1:{port}");
        self.prepare(&["register", &url, &self.work.display().to_string()])?;
        for model in ["trees", "people"] {
            self.endpoint(port, model, model)?;
        }
        Ok(())
    }

    /// An endpoint for a registered model, once it answers.
    pub(super) fn endpoint(&self, port: u16, name: &str, model: &str) -> Outcome {
        let body = format!("{{\"name\":\"{name}\",\"model\":\"{model}@champion\"}}");
        demand(port, "/api/v1/endpoints", &body).map(|_| ())
    }

    /// MLServer with both models, with its pool of workers or without.
    pub(super) fn mlserver(&self, workers: usize) -> Outcome<Side> {
        let (port, grpc, metrics) = (free_port()?, free_port()?, free_port()?);
        let folder = self.work.join("mlserver");
        let settings = format!(
            "{{\"host\":\"127.0.0.1\",\"http_port\":{port},\"grpc_port\":{grpc},\"metrics_port\":{metrics},\"parallel_workers\":{workers},\"debug\":false}}"
        );
        let file = folder.join("settings.json");
        fs::write(&file, settings).map_err(|e| format!("`{}`: {e}", file.display()))?;
        let mut command = program(self.venv.join("bin/mlserver"));
        // Why one: it is faster so for single rows, and it is what the others have.
        command.arg("start").arg(&folder).env("OMP_NUM_THREADS", "1").env("NO_PROXY", "*");
        self.peer(
            &mut command,
            port,
            "mlserver.log",
            &["/v2/models/trees/ready", "/v2/models/people/ready"],
        )
    }

    /// The hand-written server.
    pub(super) fn fastapi(&self) -> Outcome<Side> {
        let port = free_port()?;
        let mut command = program(self.venv.join("bin/uvicorn"));
        command.args(["--app-dir", "xtask/bench", "serving_app:app", "--log-level", "warning"]);
        command.args(["--no-access-log", "--port", &port.to_string()]);
        let columns: Vec<_> = (0..30).map(|place| format!("f{place}")).collect();
        command.env("BENCH_ONNX", self.work.join("trees.onnx"));
        command.env("BENCH_COLUMNS", columns.join(","));
        self.peer(&mut command, port, "fastapi.log", &["/healthz"])
    }

    fn peer(
        &self,
        command: &mut std::process::Command,
        port: u16,
        log: &str,
        ready: &[&str],
    ) -> Outcome<Side> {
        let mut server = Server::start(command, port, &self.work.join(log))?;
        let waited = ready.iter().try_for_each(|path| server.wait_for(path, PATIENCE).map(|_| ()));
        let side = Side(Some(server));
        waited.map(|()| side)
    }

    /// The bare call of the Python runtime, in microseconds: one of the keys that `floor` prints.
    pub(super) fn floor(&self, key: &str) -> Outcome<f64> {
        let mut python = program(self.python());
        let text =
            output(python.arg("xtask/bench/serving_prepare.py").arg("floor").arg(&self.work))?;
        super::number(&text, key).ok_or_else(|| format!("no `{key}` in {text}"))
    }
}

/// The environment of the peers: made once for what the requirements say.
pub(super) fn environment(work: &Path) -> Outcome<PathBuf> {
    const REQUIREMENTS: &str = "xtask/bench/requirements-serving.txt";
    let venv = work.join("venv-serving");
    let (python, stamp) = (venv.join("bin/python"), venv.join("requirements.stamp"));
    let wanted = fs::read_to_string(root().join(REQUIREMENTS));
    let wanted = wanted.map_err(|e| format!("`{REQUIREMENTS}`: {e}"))?;
    if fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return Ok(venv);
    }
    if !python.is_file() {
        run(program(crate::setup::system_python()?).args(["-m", "venv"]).arg(&venv))?;
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(program(&python).args(pip).arg(REQUIREMENTS))?;
    fs::write(&stamp, wanted).map_err(|e| format!("`{}`: {e}", stamp.display()))?;
    Ok(venv)
}

/// The runtime's library inside the environment.
pub(super) fn library(venv: &Path) -> Outcome<PathBuf> {
    let ask = "import onnxruntime, pathlib; print(next((pathlib.Path(onnxruntime.__file__).parent / 'capi').glob('libonnxruntime.so*')))";
    let text = output(program(venv.join("bin/python")).args(["-c", ask]))?;
    Ok(PathBuf::from(text.trim()))
}
