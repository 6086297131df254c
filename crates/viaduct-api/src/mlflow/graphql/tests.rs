//! Documents against the schema and the bounds; answers over the routes are tested end to end.

use serde_json::{Value, json};

use super::prepare;

fn errors(query: &str, variables: Value) -> Vec<String> {
    let variables = variables.as_object().cloned().unwrap_or_default();
    prepare(query, None, &variables).err().unwrap_or_default()
}

const RUN: &str = "query GetRun($data: MlflowGetRunInput!) @component(name: \"x\") { \
    mlflowGetRun(input: $data) { apiError { code } run { ...R } } } \
    fragment R on MlflowRunExtension { info { runUuid startTime } experiment { name } \
    modelVersions { name version } }";

#[test]
fn what_the_pages_ask_is_in_order() {
    assert_eq!(errors(RUN, json!({"data": {"runId": "a"}})), Vec::<String>::new());
    let search = "query S($d: MlflowSearchRunsInput!) { mlflowSearchRuns(input: $d) { runs { info \
        { runName } } nextPageToken } }";
    let data = json!({"d": {"runViewType": "ALL", "maxResults": 5, "experimentIds": ["0"]}});
    assert_eq!(errors(search, data), Vec::<String>::new());
    assert_eq!(
        errors("mutation { mlflowSearchRuns(input: {filter: \"\"}) { nextPageToken } }", json!({})),
        Vec::<String>::new()
    );
    assert_eq!(
        errors("{ test(inputString: \"a\") { output } __typename }", json!({})),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_wrong_is_said() {
    for (query, said) in [
        ("{ nope }", "Cannot query field 'nope' on type 'Query'."),
        ("{ mlflowGetRun(input: {runId: 5}) { run { info { runId } } } }", "non string value: 5"),
        ("{ mlflowGetRun(input: {id: \"5\"}) { apiError { code } } }", "is not defined by type"),
        ("{ mlflowGetRun(with: 1) { apiError { code } } }", "Unknown argument 'with'"),
        ("{ mlflowGetRun { run } }", "must have a selection of subfields"),
        ("{ mlflowGetRun { run { info { runId { a } } } } }", "must not have a selection"),
        ("{ mlflowGetRun { ...A } }", "Unknown fragment 'A'."),
        ("{ mlflowGetRun { ... on Other { run { info { runId } } } } }", "can never be of type"),
        ("{ a: test { output } a: test(inputString: \"x\") { output } }", "conflict"),
        ("{ test @defer { output } }", "Unknown directive '@defer'."),
        ("{ mlflowGetRun(input: $x) { apiError { code } } }", "'$x' is not defined"),
        ("mutation { mlflowGetRun { apiError { code } } }", "on type 'Mutation'"),
        ("subscription { test { output } }", "subscription"),
        ("query A { test { output } } query B { test { output } }", "Must provide operation name"),
        ("{ mlflowSearchRuns(input: {runViewType: SOME}) { nextPageToken } }", "MlflowViewType"),
        ("{", "Syntax Error"),
    ] {
        let found = errors(query, json!({}));
        assert!(found.iter().any(|error| error.contains(said)), "{query}: {found:?}");
    }
    let absent = errors(RUN, json!({}));
    assert!(absent[0].contains("'$data' of required type 'MlflowGetRunInput!'"), "{absent:?}");
}

#[test]
fn too_much_is_refused() {
    let many = |name: &str, n: usize| -> String {
        (0..n)
            .map(|i| format!("{} test {{ output }} ", name.replace('#', &i.to_string())))
            .collect()
    };
    let aliases = errors(&format!("{{ {} }}", many("a#:", 11)), json!({}));
    assert!(aliases[0].contains("at most 10 root fields, got 11 root fields"), "{aliases:?}");
    assert_eq!(errors(&format!("{{ {} }}", many("a#:", 10)), json!({})), Vec::<String>::new());
    let inner: String = (0..11).map(|i| format!("a{i}: output ")).collect();
    let said = errors(&format!("{{ test {{ {inner} }} }}"), json!({}));
    assert!(said[0].contains("at most 10 aliases, got 11 aliases"), "{said:?}");
    let deep = format!("{{ test {}{}", "{ a ".repeat(11), "}".repeat(12));
    assert!(errors(&deep, json!({}))[0].contains("maximum depth of 10"));
    let wide = format!("{{ test {{ {} }} }}", "output ".repeat(1001));
    assert!(errors(&wide, json!({}))[0].contains("total selections of 1000"));
    // Aliases spread over fragments count together, and a circle of fragments ends.
    let spread: String = (0..6).map(|i| format!("a{i}: output ")).collect();
    let other: String = (6..12).map(|i| format!("a{i}: output ")).collect();
    let query = format!(
        "{{ test {{ ...A ...B }} }} fragment A on Test {{ {spread} }} fragment B on Test {{ {other} }}"
    );
    assert!(errors(&query, json!({}))[0].contains("got 12 aliases"));
    let circle = "{ mlflowGetRun { ...A } } fragment A on MlflowGetRunResponse { run { ...B } } \
        fragment B on MlflowRunExtension { info { ...C } } fragment C on MlflowRunInfo { runId ...C }";
    assert!(errors(circle, json!({})).is_empty());
    let endless = "{ test { ...A } } fragment A on Test { output { ...A } }";
    assert!(errors(endless, json!({}))[0].contains("maximum depth"));
}
