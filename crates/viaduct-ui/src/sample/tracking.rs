//! Samples of experiments, runs and models.

use super::{at, hash, wobble};
use crate::chart::steps::{Line, Step, Steps};
use crate::path;
use crate::view::*;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn run_id(seed: u64) -> String {
    hash(seed).chars().take(32).collect()
}

fn line(name: &str, seed: i64) -> Line {
    let step = |n: i64| Step { step: n * 10, value: 0.2 + 0.7 / (1.0 + n as f64 * 0.2) };
    let steps = (0..60).map(|n| Step { value: step(n).value + 0.02 * wobble(n * seed), ..step(n) });
    Line { name: name.to_owned(), steps: steps.collect() }
}

fn changes() -> Vec<Change> {
    let change = |verb: &str, changed: Vec<Changed>| Change {
        at: at(130, 11),
        actor: "bea".into(),
        verb: verb.into(),
        changed,
    };
    let changed = |what: &str, before: Option<&str>, after: Option<&str>| Changed {
        what: what.into(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    vec![
        change("pointed an alias", vec![changed("champion", Some("2"), Some("3"))]),
        change("set a tag", vec![changed("reviewed", None, Some("yes"))]),
        change("deleted a tag", vec![changed("draft", Some("true"), None)]),
        change("created it", Vec::new()),
    ]
}

fn run(n: u64, name: &str, status: &str) -> RunLine {
    RunLine {
        id: run_id(n),
        name: name.into(),
        status: RunStatus(status.into()),
        started_at: at(120 + n as i64, 9),
        took: (status != "RUNNING").then(|| "4 min".to_owned()),
        user: "bea".into(),
        deleted_at: None,
        cells: vec![
            (Some(crate::fmt::measure(0.81 + 0.013 * n as f64)), true),
            ((n != 2).then(|| "0.35112".to_owned()), true),
            (Some(format!("{}", 4 + n)), false),
        ],
    }
}

impl ExperimentsPage {
    pub(super) fn sample() -> Self {
        let line = |id: &str, name: &str, note: Option<&str>| ExperimentLine {
            id: id.into(),
            name: name.into(),
            note: note.map(str::to_owned),
            created_at: at(100, 8),
            updated_at: at(128, 8),
            deleted_at: None,
        };
        Self {
            shell: Shell::sample(),
            filter: String::new(),
            problem: None,
            view: "all".into(),
            rows: vec![
                line("2", "term-deposit", Some("Who is worth a call?")),
                line("1", "churn <script>alert(1)</script>", None),
                ExperimentLine { deleted_at: Some(at(129, 8)), ..line("3", "old", None) },
            ],
            next_href: some("/experiments?page=abc"),
            first_href: None,
            may_write: true,
        }
    }
}

impl RunsPage {
    pub(super) fn sample() -> Self {
        let column = |label: &str, kind: &str, sorted| RunColumn {
            label: label.into(),
            kind: kind.into(),
            sort_href: some("/experiments/2?order=x"),
            sorted,
        };
        let offered = ["metrics.auc", "metrics.log_loss", "params.max_depth", "params.eta"];
        Self {
            shell: Shell::sample(),
            experiment_id: "2".into(),
            experiment: "term-deposit".into(),
            note: some("Who is worth a call?"),
            deleted_at: None,
            kept_until: None,
            filter: "metrics.auc > 0.8".into(),
            problem: None,
            view: "active".into(),
            order: "-metrics.auc".into(),
            fixed: ["Run", "Status", "Began", "User"].map(|l| column(l, "", None)).into(),
            columns: vec![
                column("auc", "metric", Some(false)),
                column("log_loss", "metric", None),
                column("max_depth", "param", None),
            ],
            offered: offered
                .map(|value| Offered { value: value.into(), chosen: value != "params.eta" })
                .into(),
            rows: vec![
                run(1, "bold-arch-18", "FINISHED"),
                run(2, "calm-pier-201", "RUNNING"),
                run(3, "wise-span-77", "FAILED"),
            ],
            next_href: some("/experiments/2?page=abc"),
            first_href: None,
            changes: changes(),
            may_write: true,
        }
    }

    pub(super) fn sample_refused() -> Self {
        Self {
            filter: "metric.auc >".into(),
            problem: some("Invalid clause(s) in filter string: 'metric.auc >'"),
            rows: Vec::new(),
            deleted_at: Some(at(120, 8)),
            kept_until: Some(at(150, 8)),
            next_href: None,
            ..Self::sample()
        }
    }
}

impl ComparePage {
    pub(super) fn sample() -> Self {
        let row = |key: &str, one: Option<&str>, two: Option<&str>| Compared {
            key: key.into(),
            differs: one != two,
            values: vec![one.map(str::to_owned), two.map(str::to_owned)],
        };
        let part = |title: &str, numbers, rows| ComparedPart { title: title.into(), numbers, rows };
        let lines = vec![line("bold-arch-18", 3), line("calm-pier-201", 7)];
        Self {
            shell: Shell::sample(),
            experiment_id: "2".into(),
            experiment: "term-deposit".into(),
            runs: vec![run(1, "bold-arch-18", "FINISHED"), run(2, "calm-pier-201", "FINISHED")],
            parts: vec![
                part(
                    "Params",
                    false,
                    vec![row("eta", Some("0.1"), Some("0.1")), row("max_depth", Some("6"), None)],
                ),
                part("Metrics", true, vec![row("auc", Some("0.823"), Some("0.836"))]),
                part("Tags", false, Vec::new()),
            ],
            only_different: false,
            toggle_href: "/experiments/2/compare?run=a&run=b&only=different".into(),
            charts: vec![("log_loss".into(), Steps { label: "log_loss".into(), lines })],
        }
    }
}

impl RunPage {
    pub(super) fn sample() -> Self {
        let id = run_id(1);
        let metric = |key: &str, value: f64, history: bool| RunMetric {
            key: key.into(),
            value,
            step: if history { 590 } else { 0 },
            at: at(121, 9),
            history: history.then(|| Steps { label: key.into(), lines: vec![line(key, 5)] }),
        };
        let artifact = |name: &str, is_folder: bool, size: &str| ArtifactLine {
            name: name.into(),
            href: if is_folder { path::run_folder(&id, name) } else { path::run_file(&id, name) },
            is_folder,
            size: size.into(),
        };
        let model = |name: &str, role: &str, id: Option<&str>, href: Option<String>| RunModel {
            name: name.into(),
            role: role.into(),
            id: id.map(str::to_owned),
            href,
        };
        Self {
            shell: Shell::sample(),
            name: "bold-arch-18".into(),
            experiment_id: "2".into(),
            experiment: "term-deposit".into(),
            status: RunStatus("FINISHED".into()),
            user: "bea".into(),
            started_at: at(121, 9),
            took: some("4 min"),
            deleted_at: Some(at(125, 9)),
            kept_until: Some(at(155, 9)),
            note: some("The run of the pilot."),
            parent: None,
            source: vec![
                Field::new("source", "train.py"),
                Field::new("repository", "javascript:alert(1)"),
            ],
            params: vec![Field::new("eta", "0.1"), Field::new("max_depth", "6")],
            metrics: vec![metric("auc", 0.823_412, false), metric("log_loss", 0.351_12, true)],
            undrawn: 0,
            tags: vec![Field::new("team", "<b>risk</b>")],
            datasets: vec![RunDataset {
                name: "bank-marketing".into(),
                digest: "f1c02d9a".into(),
                context: some("training"),
                source: some("javascript:alert(2)"),
            }],
            models: vec![
                model("model", "made", Some("m-0190a1b2c3d4e5f60718293a4b5c6d7e"), None),
                model("term-deposit", "version 3", None, Some(path::model("term-deposit"))),
            ],
            folder: "plots".into(),
            artifacts: vec![artifact("model", true, ""), artifact("roc.png", false, "48.2 kB")],
            artifact_problem: None,
            artifact_uri: format!("mlflow-artifacts:/2/{id}/artifacts"),
            changes: changes(),
            may_write: true,
            id,
        }
    }
}

impl ModelsPage {
    pub(super) fn sample() -> Self {
        Self {
            shell: Shell::sample(),
            filter: String::new(),
            problem: None,
            rows: vec![ModelLine {
                name: "term-deposit".into(),
                description: some("Who will take a term deposit when called?"),
                latest: Some(3),
                aliases: vec![("champion".into(), 3), ("previous".into(), 2)],
                endpoints: vec!["term-deposit".into()],
                updated_at: at(130, 9),
            }],
            next_href: None,
            first_href: None,
        }
    }
}

impl ModelPage {
    pub(super) fn sample() -> Self {
        let version = |version: i64| VersionLine {
            version,
            aliases: if version == 3 { vec!["champion".into()] } else { Vec::new() },
            stage: (version == 2).then(|| "Archived".to_owned()),
            not_ready: (version == 1).then(|| "FAILED_REGISTRATION".to_owned()),
            description: None,
            created_at: at(120 + version, 9),
            user: "bea".into(),
            source: if version == 1 { "javascript:alert(3)" } else { "models:/m-0190a1b2" }.into(),
            made_by: (version != 1).then(|| MadeBy {
                run_id: run_id(1),
                run: (version == 3).then(|| "bold-arch-18".to_owned()),
                experiment: (version == 3).then(|| ("2".to_owned(), "term-deposit".to_owned())),
                datasets: vec![("bank-marketing".into(), "f1c02d9a".into())],
            }),
            endpoints: if version == 3 { vec!["term-deposit".into()] } else { Vec::new() },
            decisions: version * 1_240,
            tags: vec![Field::new("framework", "xgboost")],
        };
        Self {
            shell: Shell::sample(),
            name: "term-deposit".into(),
            description: some("Who will take a term deposit when called?"),
            created_at: at(100, 9),
            updated_at: at(130, 9),
            versions: vec![version(3), version(2), version(1)],
            unshown: 0,
            aliases: vec![("champion".into(), 3, at(130, 9))],
            endpoints: vec![("term-deposit".into(), "term-deposit@champion".into())],
            counted: Some(5_000),
            tags: Vec::new(),
            changes: changes(),
        }
    }
}
