//! The types of MLflow's GraphQL, as its own server declares them.

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    /// A text, or a word of an enumeration.
    Text,
    /// An int64, which travels as text: JavaScript's numbers are too small.
    Long,
    /// A double; what is no number is null.
    Double,
    /// A truth value.
    Flag,
    /// Texts.
    Texts,
    /// An object of that type.
    One(&'static Type),
    /// Objects of that type.
    Many(&'static Type),
}

impl Holds {
    /// The type of the objects that it holds.
    pub(super) fn object(self) -> Option<&'static Type> {
        match self {
            Holds::One(of) | Holds::Many(of) => Some(of),
            _ => None,
        }
    }
}

/// An object type.
#[derive(Debug)]
pub(super) struct Type {
    /// Its name.
    pub(super) name: &'static str,
    fields: &'static [(&'static str, Holds)],
}

impl Type {
    /// What the field of that name holds; every object tells its type's name.
    pub(super) fn field(&self, name: &str) -> Option<Holds> {
        if name == TYPE_NAME {
            return Some(Holds::Text);
        }
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, holds)| *holds)
    }
}

/// The field that every type has.
pub(super) const TYPE_NAME: &str = "__typename";

/// What an argument's member takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    Int,
    Texts,
    View,
}

/// Words of `MlflowViewType`.
pub(super) const VIEWS: [&str; 3] = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];

/// A field of a query, and the REST address that answers it.
#[derive(Debug)]
pub(super) struct Root {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether a mutation has it.
    pub(super) in_mutation: bool,
    /// Whether a query has it.
    pub(super) in_query: bool,
    /// Its argument's type and members.
    pub(super) input: (&'static str, &'static [(&'static str, Takes)]),
    /// The type of its answer.
    pub(super) answer: &'static Type,
    /// Whether the address takes a body.
    pub(super) posts: bool,
    /// The address below `/api/2.0/mlflow/`.
    pub(super) address: &'static str,
}

macro_rules! object_types {
    ($($id:ident = $name:literal { $($field:ident: $holds:expr),+ $(,)? })+) => {$(
        static $id: Type = {
            use Holds::{Double, Flag, Long, Many, One, Text, Texts};
            // Why named: most types use only some of them.
            const _: fn() = || { let _ = (Double, Flag, Long, Many, One, Text, Texts); };
            Type { name: $name, fields: &[$((stringify!($field), $holds)),+] }
        };
    )+};
}

object_types! {
    TEST = "Test" { output: Text }
    ERROR_DETAIL = "ErrorDetail" { field: Text, message: Text }
    API_ERROR = "ApiError" {
        code: Text, message: Text, helpUrl: Text, traceId: Text, errorDetails: Many(&ERROR_DETAIL),
    }
    EXPERIMENT_TAG = "MlflowExperimentTag" { key: Text, value: Text }
    EXPERIMENT = "MlflowExperiment" {
        experimentId: Text, name: Text, artifactLocation: Text, lifecycleStage: Text,
        lastUpdateTime: Long, creationTime: Long, tags: Many(&EXPERIMENT_TAG),
        effectiveTraceArchivalRetention: Text, workspace: Text,
    }
    GET_EXPERIMENT = "MlflowGetExperimentResponse" {
        experiment: One(&EXPERIMENT), apiError: One(&API_ERROR),
    }
    RUN_INFO = "MlflowRunInfo" {
        runId: Text, runUuid: Text, runName: Text, experimentId: Text, userId: Text, status: Text,
        startTime: Long, endTime: Long, artifactUri: Text, lifecycleStage: Text,
    }
    METRIC = "MlflowMetricExtension" {
        key: Text, value: Double, timestamp: Long, step: Long, datasetName: Text,
        datasetDigest: Text, modelId: Text, runId: Text,
    }
    PARAM = "MlflowParam" { key: Text, value: Text }
    RUN_TAG = "MlflowRunTag" { key: Text, value: Text }
    RUN_DATA = "MlflowRunData" {
        metrics: Many(&METRIC), params: Many(&PARAM), tags: Many(&RUN_TAG),
    }
    INPUT_TAG = "MlflowInputTag" { key: Text, value: Text }
    DATASET = "MlflowDataset" {
        name: Text, digest: Text, sourceType: Text, source: Text, schema: Text, profile: Text,
    }
    DATASET_INPUT = "MlflowDatasetInput" { tags: Many(&INPUT_TAG), dataset: One(&DATASET) }
    MODEL_INPUT = "MlflowModelInput" { modelId: Text }
    RUN_INPUTS = "MlflowRunInputs" {
        datasetInputs: Many(&DATASET_INPUT), modelInputs: Many(&MODEL_INPUT),
    }
    MODEL_OUTPUT = "MlflowModelOutput" { modelId: Text, step: Long }
    RUN_OUTPUTS = "MlflowRunOutputs" { modelOutputs: Many(&MODEL_OUTPUT) }
    MODEL_METRIC = "MlflowModelMetric" {
        key: Text, value: Double, timestamp: Long, step: Long, datasetName: Text,
        datasetDigest: Text, modelId: Text, runId: Text,
    }
    MODEL_PARAM = "MlflowModelParam" { name: Text, value: Text }
    VERSION_TAG = "MlflowModelVersionTag" { key: Text, value: Text }
    DEPLOYMENT_JOB = "MlflowModelVersionDeploymentJobState" {
        jobId: Text, runId: Text, jobState: Text, runState: Text, currentTaskName: Text,
    }
    VERSION = "MlflowModelVersion" {
        name: Text, version: Text, creationTimestamp: Long, lastUpdatedTimestamp: Long,
        userId: Text, currentStage: Text, description: Text, source: Text, runId: Text,
        status: Text, statusMessage: Text, tags: Many(&VERSION_TAG), runLink: Text,
        aliases: Texts, modelId: Text, modelParams: Many(&MODEL_PARAM),
        modelMetrics: Many(&MODEL_METRIC), deploymentJobState: One(&DEPLOYMENT_JOB),
    }
    RUN = "MlflowRunExtension" {
        info: One(&RUN_INFO), data: One(&RUN_DATA), inputs: One(&RUN_INPUTS),
        outputs: One(&RUN_OUTPUTS), experiment: One(&EXPERIMENT), modelVersions: Many(&VERSION),
    }
    GET_RUN = "MlflowGetRunResponse" { run: One(&RUN), apiError: One(&API_ERROR) }
    SEARCH_RUNS = "MlflowSearchRunsResponse" {
        runs: Many(&RUN), nextPageToken: Text, apiError: One(&API_ERROR),
    }
    METRIC_OF_RUN = "MlflowMetricWithRunId" {
        key: Text, value: Double, timestamp: Long, step: Long, runId: Text,
    }
    HISTORY = "MlflowGetMetricHistoryBulkIntervalResponse" {
        metrics: Many(&METRIC_OF_RUN), apiError: One(&API_ERROR),
    }
    FILE = "MlflowFileInfo" { path: Text, isDir: Flag, fileSize: Long }
    ARTIFACTS = "MlflowListArtifactsResponse" {
        rootUri: Text, files: Many(&FILE), nextPageToken: Text, apiError: One(&API_ERROR),
    }
    SEARCH_VERSIONS = "MlflowSearchModelVersionsResponse" {
        modelVersions: Many(&VERSION), nextPageToken: Text, apiError: One(&API_ERROR),
    }
    DATASET_SUMMARY = "MlflowDatasetSummary" {
        experimentId: Text, name: Text, digest: Text, context: Text,
    }
    SEARCH_DATASETS = "MlflowSearchDatasetsResponse" {
        datasetSummaries: Many(&DATASET_SUMMARY), apiError: One(&API_ERROR),
    }
}

/// The type of a run, whose experiment and versions are asked for apart.
pub(super) fn run() -> &'static Type {
    &RUN
}

const SEARCH_RUNS_INPUT: &[(&str, Takes)] = &[
    ("experimentIds", Takes::Texts),
    ("filter", Takes::Text),
    ("runViewType", Takes::View),
    ("maxResults", Takes::Int),
    ("orderBy", Takes::Texts),
    ("pageToken", Takes::Text),
];

/// Every field of a query or mutation.
static ROOTS: &[Root] = &[
    Root {
        name: "mlflowGetExperiment",
        in_query: true,
        in_mutation: false,
        input: ("MlflowGetExperimentInput", &[("experimentId", Takes::Text)]),
        answer: &GET_EXPERIMENT,
        posts: false,
        address: "experiments/get",
    },
    Root {
        name: "mlflowGetRun",
        in_query: true,
        in_mutation: false,
        input: ("MlflowGetRunInput", &[("runId", Takes::Text), ("runUuid", Takes::Text)]),
        answer: &GET_RUN,
        posts: false,
        address: "runs/get",
    },
    Root {
        name: "mlflowSearchRuns",
        in_query: true,
        in_mutation: true,
        input: ("MlflowSearchRunsInput", SEARCH_RUNS_INPUT),
        answer: &SEARCH_RUNS,
        posts: true,
        address: "runs/search",
    },
    Root {
        name: "mlflowGetMetricHistoryBulkInterval",
        in_query: true,
        in_mutation: false,
        input: (
            "MlflowGetMetricHistoryBulkIntervalInput",
            &[
                ("runIds", Takes::Texts),
                ("metricKey", Takes::Text),
                ("startStep", Takes::Int),
                ("endStep", Takes::Int),
                ("maxResults", Takes::Int),
            ],
        ),
        answer: &HISTORY,
        posts: false,
        address: "metrics/get-history-bulk-interval",
    },
    Root {
        name: "mlflowListArtifacts",
        in_query: true,
        in_mutation: false,
        input: (
            "MlflowListArtifactsInput",
            &[
                ("runId", Takes::Text),
                ("runUuid", Takes::Text),
                ("path", Takes::Text),
                ("pageToken", Takes::Text),
            ],
        ),
        answer: &ARTIFACTS,
        posts: false,
        address: "artifacts/list",
    },
    Root {
        name: "mlflowSearchModelVersions",
        in_query: true,
        in_mutation: false,
        input: (
            "MlflowSearchModelVersionsInput",
            &[
                ("filter", Takes::Text),
                ("maxResults", Takes::Int),
                ("orderBy", Takes::Texts),
                ("pageToken", Takes::Text),
            ],
        ),
        answer: &SEARCH_VERSIONS,
        posts: false,
        address: "model-versions/search",
    },
    Root {
        name: "mlflowSearchDatasets",
        in_query: false,
        in_mutation: true,
        input: ("MlflowSearchDatasetsInput", &[("experimentIds", Takes::Texts)]),
        answer: &SEARCH_DATASETS,
        posts: true,
        address: "experiments/search-datasets",
    },
    Root {
        name: TEST_FIELD,
        in_query: true,
        in_mutation: false,
        input: ("String", &[]),
        answer: &TEST,
        posts: false,
        address: "",
    },
];

/// The field that only echoes.
pub(super) const TEST_FIELD: &str = "test";

/// The field of that name, of a query or of a mutation.
pub(super) fn root(name: &str, mutates: bool) -> Option<&'static Root> {
    let fits = |root: &&Root| if mutates { root.in_mutation } else { root.in_query };
    ROOTS.iter().filter(fits).find(|root| root.name == name)
}

/// `runUuid` as the REST routes spell it.
pub(super) fn snake(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            spelled.push('_');
        }
        spelled.push(letter.to_ascii_lowercase());
    }
    spelled
}
