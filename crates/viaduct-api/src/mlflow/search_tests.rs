//! Searches, long series, datasets and metrics of models over MLflow's wire.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use viaduct_app::App;
use viaduct_domain::permission::{Caller, Door, Who};

use super::tests::{Server, server};

impl Server {
    fn app(&self) -> &App {
        &self.app
    }

    fn caller(&self) -> Caller {
        Caller { who: Who::Anonymous, workspace: self.app.workspace(), door: Door::Open }
    }
}

fn ids(answer: &Value, list: &str, of: impl Fn(&Value) -> &Value) -> Vec<String> {
    let all = answer[list].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| of(one).as_str().unwrap_or_default().to_owned()).collect()
}

async fn found(server: &Server, filter: &str, order_by: Value) -> Vec<String> {
    let body = json!({ "experiment_ids": ["0"], "filter": filter, "order_by": order_by });
    let answer = server.post("/runs/search", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{filter}: {:?}", answer.json());
    ids(&answer.json(), "runs", |run| &run["info"]["run_name"])
}

/// Runs `a` to `d`, of which `d` has NaN and no param.
async fn runs(server: &Server) -> Vec<String> {
    let mut made = Vec::new();
    for (name, value, param) in [
        ("a", json!(0.1), "x"),
        ("b", json!(0.2), "y"),
        ("c", json!(0.3), "x"),
        ("d", json!("NaN"), ""),
    ] {
        let body = json!({ "experiment_id": "0", "run_name": name, "start_time": made.len() + 1 });
        let run = server.post("/runs/create", body).await.json();
        let id = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        let params = match param {
            "" => json!([]),
            value => json!([{ "key": "p", "value": value }]),
        };
        let metric = json!({ "key": "acc", "value": value, "timestamp": 1, "step": 0 });
        let body = json!({ "run_id": id, "metrics": [metric], "params": params });
        assert_eq!(server.post("/runs/log-batch", body).await.status, StatusCode::OK);
        made.push(id);
    }
    made
}

#[tokio::test]
async fn runs_are_found() {
    let server = server().await;
    let made = runs(&server).await;
    let none = || json!([]);
    assert_eq!(found(&server, "", none()).await, ["d", "c", "b", "a"]);
    assert_eq!(found(&server, "", json!(["metrics.acc DESC"])).await, ["c", "b", "a", "d"]);
    assert_eq!(found(&server, "metrics.acc > 0.1 AND params.p = 'x'", none()).await, ["c"]);
    assert_eq!(found(&server, "params.p IS NULL", none()).await, ["d"]);
    let either = "(params.p = 'y' OR metrics.acc < 0.15) AND status = 'RUNNING'";
    assert_eq!(found(&server, either, none()).await, ["b", "a"]);
    let listed = format!("attributes.run_id IN ('{}', \"{}\")", made[0], made[3]);
    assert_eq!(found(&server, &listed, none()).await, ["d", "a"]);
    assert_eq!(found(&server, "start_time <= 2", none()).await, ["b", "a"]);
    // A name set as a tag is the run's name.
    let tag = json!({ "run_id": made[0], "key": "mlflow.runName", "value": "new" });
    server.post("/runs/set-tag", tag).await;
    assert_eq!(found(&server, "run_name = 'new'", none()).await, ["new"]);
    for (filter, said) in [
        ("metrics.acc > 'x'", "Expected numeric value type for metric"),
        ("params.p IN ('x')", "Invalid comparator 'IN' not one of"),
        ("nonsense", "Invalid clause(s) in filter string"),
    ] {
        let body = json!({ "experiment_ids": ["0"], "filter": filter });
        let answer = server.post("/runs/search", body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE")
        );
        assert!(answer.json()["message"].as_str().unwrap().contains(said), "{:?}", answer.json());
    }
    let mut seen = Vec::new();
    let mut token = Value::Null;
    loop {
        let body = json!({ "experiment_ids": ["0"], "max_results": 3, "page_token": token });
        let page = server.post("/runs/search", body).await.json();
        seen.extend(ids(&page, "runs", |run| &run["info"]["run_id"]));
        token = page["next_page_token"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn series_are_read_in_pages_and_sampled() {
    let server = server().await;
    let run = server.run().await;
    for start in [0, 1000] {
        let metrics: Vec<Value> = (start..start + 1000)
            .map(|i| json!({ "key": "m", "value": i, "timestamp": i, "step": i }))
            .collect();
        let body = json!({ "run_id": run, "metrics": metrics });
        assert_eq!(server.post("/runs/log-batch", body).await.status, StatusCode::OK);
    }
    let again = json!({ "run_id": run, "key": "m", "value": 5, "timestamp": 5, "step": 5 });
    server.post("/runs/log-metric", again).await;
    let path = format!("/metrics/get-history?run_id={run}&metric_key=m");
    let all = server.get(&path).await.json();
    assert_eq!(all["metrics"].as_array().unwrap().len(), 2000, "the same point twice is one");
    assert!(all["next_page_token"].is_null());
    assert_eq!(all["metrics"][7], json!({ "key": "m", "value": 7.0, "timestamp": 7, "step": 7 }));
    let page = server.get(&format!("{path}&max_results=1500")).await.json();
    let token = page["next_page_token"].as_str().unwrap();
    let rest = server.get(&format!("{path}&max_results=1500&page_token={token}")).await.json();
    assert_eq!(rest["metrics"][0]["step"], 1500);
    assert_eq!(rest["metrics"].as_array().unwrap().len(), 500);

    let chart = "/metrics/get-history-bulk-interval";
    let path = format!("{chart}?run_ids={run}&metric_key=m&max_results=320");
    let points = server.get(&path).await.json()["metrics"].as_array().unwrap().clone();
    assert_eq!(points.len(), 320);
    assert_eq!((&points[0]["step"], &points[319]["step"]), (&json!(0), &json!(1999)));
    assert_eq!(points[0]["run_id"], json!(run));
    let part = server.get(&format!("{path}&start_step=10&end_step=12")).await.json();
    assert_eq!(part["metrics"].as_array().unwrap().len(), 3);
    for (query, said) in [
        ("metric_key=m", "Missing value for required parameter 'run_ids'"),
        (&format!("run_ids={run}&metric_key=m&max_results=0") as &str, "between 1 and 2500"),
        (&format!("run_ids={run}&metric_key=m&start_step=1"), "both must be specified"),
        (&format!("run_ids={run}&metric_key=m&start_step=2&end_step=1"), "must be greater than"),
    ] {
        let answer = server.get(&format!("{chart}?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.json()["message"].as_str().unwrap().contains(said), "{:?}", answer.json());
    }
    let missing = server.get(&format!("{chart}?run_ids=none&metric_key=m")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let ui = format!(
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}&metric_key=m&max_results=3"
    );
    let request = axum::http::Request::get(ui).body(axum::body::Body::empty()).unwrap();
    assert_eq!(server.ask(request).await.json()["metrics"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn models_are_measured_on_datasets() {
    let server = server().await;
    let run = server.run().await;
    let new = json!({ "experiment_id": "0", "name": "net", "source_run_id": run });
    let model =
        server.post("/logged-models", new).await.json()["model"]["info"]["model_id"].clone();
    let dataset = json!({ "name": "bank", "digest": "d1", "source_type": "local", "source": "{}" });
    let tags = json!([{ "key": "mlflow.data.context", "value": "eval" }]);
    let body = json!({
        "run_id": run,
        "datasets": [{ "dataset": dataset, "tags": tags }],
        "models": [{ "model_id": model }],
    });
    assert_eq!(server.post("/runs/log-inputs", body).await.status, StatusCode::OK);
    let point = json!({
        "run_id": run, "key": "acc", "value": 0.9, "timestamp": 1, "step": 0,
        "model_id": model, "dataset_name": "bank", "dataset_digest": "d1",
    });
    assert_eq!(server.post("/runs/log-metric", point).await.status, StatusCode::OK);
    let id = model.as_str().unwrap();
    let seen = server.get(&format!("/logged-models/{id}")).await.json();
    let metric = &seen["model"]["data"]["metrics"][0];
    assert_eq!((&metric["dataset_name"], &metric["run_id"]), (&json!("bank"), &json!(run)));
    let search = |filter: &str, dataset: &str| {
        json!({
            "experiment_ids": ["0"], "filter": filter,
            "datasets": [{ "dataset_name": dataset }],
            "order_by": [{ "field_name": "metrics.acc", "dataset_name": "bank", "ascending": false }],
        })
    };
    for (filter, dataset, count) in [
        ("metrics.acc > 0.5", "bank", 1),
        ("metrics.acc > 0.95", "bank", 0),
        ("status = 'PENDING' AND name = 'net'", "bank", 1),
        ("", "other", 0),
    ] {
        let answer = server.post("/logged-models/search", search(filter, dataset)).await.json();
        let models = answer["models"].as_array().map_or(0, Vec::len);
        assert_eq!(models, count, "{filter} {dataset}: {answer}");
    }
    for filter in ["dataset.name = 'bank'", "datasets.context = 'eval'", "dataset.digest LIKE 'd%'"]
    {
        assert_eq!(found(&server, filter, json!([])).await.len(), 1, "{filter}");
    }
    assert!(found(&server, "dataset.name = 'other'", json!([])).await.is_empty());
    let ui = "/ajax-api/2.0/mlflow/experiments/search-datasets";
    let request = axum::http::Request::post(ui)
        .header("content-type", "application/json")
        .body(axum::body::Body::from(json!({ "experiment_ids": ["0"] }).to_string()))
        .unwrap();
    let wanted =
        json!([{ "experiment_id": "0", "name": "bank", "digest": "d1", "context": "eval" }]);
    assert_eq!(server.ask(request).await.json()["dataset_summaries"], wanted);
}

#[tokio::test]
async fn models_and_versions_are_found() {
    let server = server().await;
    server.model("alpha", 2).await;
    server.model("beta", 1).await;
    let prompt = json!([{ "key": "mlflow.prompt.is_prompt", "value": "true" }]);
    server.post("/registered-models/create", json!({ "name": "hello", "tags": prompt })).await;
    let names = async |query: &str| {
        let answer = server.get(&format!("/registered-models/search?{query}")).await.json();
        ids(&answer, "registered_models", |model| &model["name"])
    };
    assert_eq!(names("").await, ["alpha", "beta"]);
    assert_eq!(names("filter=name+ILIKE+'AL%25'").await, ["alpha"]);
    assert_eq!(names("order_by=name+DESC").await, ["beta", "alpha"]);
    let tag = "tags.%60mlflow.prompt.is_prompt%60";
    assert_eq!(names(&format!("filter={tag}+%3D+'true'")).await, ["hello"]);
    assert_eq!(names(&format!("filter={tag}+!%3D+'true'")).await, ["alpha", "beta"]);
    let versions = async |query: &str| {
        let answer = server.get(&format!("/model-versions/search?{query}")).await.json();
        ids(&answer, "model_versions", |version| &version["version"])
    };
    assert_eq!(versions("filter=name%3D'alpha'").await, ["2", "1"]);
    assert_eq!(versions("filter=name%3D'alpha'+AND+version_number+%3C+2").await, ["1"]);
    assert_eq!(versions("filter=name%3D'alpha'+OR+name%3D'beta'").await.len(), 3);
    let many = server.get("/registered-models/search?max_results=1001").await;
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
    let rename = json!({ "name": "alpha", "new_name": "gamma" });
    server.post("/registered-models/rename", rename).await;
    let alias = json!({ "name": "gamma", "alias": "champion", "version": "1" });
    server.post("/registered-models/alias", alias).await;
    server
        .send(
            Method::PATCH,
            "/registered-models/update",
            json!({ "name": "gamma", "description": "d" }),
        )
        .await;
    let caller = server.caller();
    let page = server.app().list_changes(&caller, "model:gamma", (None, None)).await.unwrap();
    let verbs: Vec<&str> = page.items.iter().map(|row| row.verb.as_str()).collect();
    assert_eq!(
        verbs,
        [
            "update_registered_model",
            "alias.set",
            "renamed",
            "model_version.created",
            "model_version.created",
            "created"
        ],
        "what happened under the older name too"
    );
    assert!(page.items[1].change_json.contains("champion"));
    assert!(server.app().list_changes(&caller, "nothing", (None, None)).await.is_err());
}

#[tokio::test]
async fn changes_of_a_run_are_written_once_a_call() {
    let server = server().await;
    let run = server.run().await;
    let tags = |value: &str| json!({ "run_id": run, "tags": [{ "key": "t", "value": value }] });
    server.post("/runs/log-batch", tags("1")).await;
    server.post("/runs/log-batch", tags("1")).await;
    server.post("/runs/log-batch", tags("2")).await;
    let point = json!({ "run_id": run, "key": "m", "value": 1, "timestamp": 1, "step": 0 });
    server.post("/runs/log-metric", point).await;
    server.post("/runs/delete", json!({ "run_id": run })).await;
    let subject = format!("run:{run}");
    let caller = server.caller();
    let page = server.app().list_changes(&caller, &subject, (None, Some(3))).await.unwrap();
    let verbs: Vec<&str> = page.items.iter().map(|row| row.verb.as_str()).collect();
    assert_eq!(verbs, ["deleted", "logged", "logged"], "neither points nor what stays the same");
    let change: Value = serde_json::from_str(&page.items[1].change_json).unwrap();
    assert_eq!(change["tags"]["t"], json!({ "before": "1", "after": "2" }));
    let before = page.next.unwrap();
    let rest = server.app().list_changes(&caller, &subject, (Some(&before), None)).await.unwrap();
    assert_eq!(rest.items.iter().map(|row| row.verb.as_str()).collect::<Vec<_>>(), ["created"]);
}
