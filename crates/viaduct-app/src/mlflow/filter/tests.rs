use proptest::prelude::*;

use super::*;
use viaduct_store::mlflow::search::Order;

fn one(field: Field, comparator: Comparator, operand: Operand) -> Filter {
    Filter::One(Comparison { field, test: Test::Is(comparator, operand) })
}

fn text(text: &str) -> Operand {
    Operand::Text(text.into())
}

#[test]
fn comparisons() {
    let read = parse(
        "metrics.acc >= 0.5 and params.\"a b\"='x' AND tags.`mlflow.user` ILIKE \"%A_\" \
         AND attributes.start_time<1e3 AND run_name != '' AND `run name` = 'it''s'",
        Subject::Runs,
    )
    .unwrap();
    let expected = Filter::All(vec![
        one(Field::Metric("acc".into()), Comparator::GreaterOrEqual, Operand::Number(0.5)),
        one(Field::Param("a b".into()), Comparator::Equal, text("x")),
        one(Field::Tag("mlflow.user".into()), Comparator::Ilike, text("%A_")),
        one(Field::Moment("started_at"), Comparator::Less, Operand::Number(1000.0)),
        one(Field::Text("name"), Comparator::NotEqual, text("")),
        one(Field::Text("name"), Comparator::Equal, text("it's")),
    ]);
    assert_eq!(read, expected);
    for empty in ["", "  ", ";"] {
        assert_eq!(parse(empty, Subject::Runs).unwrap(), Filter::default());
    }
}

#[test]
fn lists_presence_and_logic() {
    let is = |key: &str| one(Field::Tag(key.into()), Comparator::Equal, text("1"));
    let read = parse("(tags.a = '1' OR tags.b = '1') AND tags.c = '1'", Subject::Runs).unwrap();
    assert_eq!(read, Filter::All(vec![Filter::Any(vec![is("a"), is("b")]), is("c")]));
    let read = parse("tags.a = '1' OR tags.b = '1' AND tags.c = '1'", Subject::Runs).unwrap();
    assert_eq!(read, Filter::Any(vec![is("a"), Filter::All(vec![is("b"), is("c")])]));
    let test = |filter: &str, subject| match parse(filter, subject).unwrap() {
        Filter::One(comparison) => comparison.test,
        other => panic!("{other:?}"),
    };
    let listed = Test::Among(vec!["a".into(), "b".into()]);
    assert_eq!(test("run_id IN ('a', \"b\")", Subject::Runs), listed);
    assert_eq!(test("attributes.model_id IN ('a','b',)", Subject::LoggedModels), listed);
    assert_eq!(test("dataset.name not in ('a')", Subject::Runs), Test::NotAmong(vec!["a".into()]));
    assert_eq!(test("params.x IS NULL", Subject::Runs), Test::Absent);
    assert_eq!(test("tags.`a.b` is not null", Subject::Experiments), Test::Present);
    let ready = Test::Is(Comparator::Equal, text("LOGGED_MODEL_READY"));
    assert_eq!(test("status = 'READY'", Subject::LoggedModels), ready);
    assert_eq!(
        test("version_number = '3'", Subject::ModelVersions),
        Test::Is(Comparator::Equal, Operand::Number(3.0))
    );
    assert_eq!(
        test("experiment_id = '007'", Subject::Experiments),
        Test::Is(Comparator::Equal, text("7"))
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    use Subject::{Experiments, LoggedModels, ModelVersions, RegisteredModels, Runs};
    for (subject, bad, said) in [
        (Runs, "metrics.a", "Invalid clause(s) in filter string"),
        (Runs, "metrics.a >", "Invalid clause(s) in filter string"),
        (Runs, "metrics.a > 'x'", "Expected numeric value type for metric. Found 'x'"),
        (Runs, "metrics.a > nan", "Expected numeric value type for metric. Found nan"),
        (Runs, "metrics.a > 1e999", "Expected numeric value type for metric"),
        (Runs, "(metrics.a > 1", "Invalid clause(s)"),
        (Runs, "metrics.a > 1)", "Invalid clause(s)"),
        (Runs, "metrics.a > 1 metrics.b > 1", "Invalid clause(s)"),
        (Runs, "metrics.a > 1 AND", "Invalid clause(s)"),
        (Runs, "metrics.a LIKE 1", "Invalid comparator 'LIKE' not one of"),
        (Runs, "metrics.a IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params"),
        (Runs, "params.a = 1", "Expected a quoted string value for parameter (e.g. 'my-value')"),
        (Runs, "params.a = x", "Parameter value is either not quoted or unidentified quote types"),
        (Runs, "params.a > 'x'", "Invalid comparator '>' not one of"),
        (Runs, "params.a = 'x", "a quote is not closed"),
        (Runs, "params.`a = 'x'", "a quote is not closed"),
        (Runs, "tags.a IN ('x')", "Invalid comparator 'IN' not one of"),
        (Runs, "status IN ('x')", "Only ['run_id'] attributes support comparison with a list"),
        (Runs, "run_id IN ()", "expected a non-empty list of string values, but got empty list"),
        (Runs, "run_id IN ('a' 'b')", "ill-formed list"),
        (Runs, "run_id IN (1)", "got different type in list"),
        (Runs, "nothing = 'x'", "Invalid attribute key 'nothing' specified. Valid keys are"),
        (Runs, "m.a > 1", "Invalid entity type 'm'. Valid values are ['metric', 'parameter'"),
        (Runs, "datasets.size = 'x'", "Invalid dataset key 'size' specified"),
        (Runs, "= 'x'", "Invalid clause(s)"),
        (Runs, "metrics.a > 1; drop table run", "Search filter contained multiple expression"),
        (Runs, "'; --", "a quote is not closed"),
        (Runs, "start_time > 'x'", "Expected numeric value type for numeric attribute: start_time"),
        (Runs, "metrics.a == 1", "Invalid comparator '==' not one of"),
        (Runs, "é", "Invalid clause(s)"),
        (Runs, "tags.a LIKE '%%%%%%%%%%%%%%%%%%%%%'", "at most 20 `%`"),
        (
            RegisteredModels,
            "metrics.a > 1",
            "Invalid entity type 'metrics'. Valid entity types are",
        ),
        (RegisteredModels, "name = 5", "Expected a quoted string value or a list of quoted"),
        (RegisteredModels, "creation_timestamp > 1", "Invalid attribute key"),
        (ModelVersions, "version_number > 1.5", "Invalid value for numeric attribute"),
        (ModelVersions, "version_number = 'x'", "Invalid value for numeric attribute"),
        (Experiments, "experiment_id LIKE '1'", "Invalid comparator for experiment_id: LIKE"),
        (Experiments, "experiment_id = 'x'", "Invalid experiment ID"),
        (Experiments, "name IS NULL", "only supported for tags, not for attribute 'name'"),
        (LoggedModels, "metrics.a LIKE 'x'", "Invalid comparison operator for metrics.a: 'LIKE'"),
        (LoggedModels, "foo.a = 'x'", "Invalid entity type: 'foo'"),
        (LoggedModels, "name", "Expected a list of comparisons separated by 'AND'"),
    ] {
        let refused = parse(bad, subject).unwrap_err().to_string();
        assert!(refused.contains(said), "{bad}: {refused}");
    }
}

#[test]
fn bounds() {
    let many = vec!["metrics.a > 1"; 101].join(" AND ");
    assert!(parse(&many, Subject::Runs).unwrap_err().to_string().contains("100 comparisons"));
    let deep = format!("{}metrics.a > 1{}", "(".repeat(50), ")".repeat(50));
    assert!(parse(&deep, Subject::Runs).is_ok());
    let deep = format!("({deep})");
    assert!(parse(&deep, Subject::Runs).unwrap_err().to_string().contains("50 parentheses"));
    let long = format!("run_id IN ({})", vec!["'a'"; 5001].join(","));
    assert!(parse(&long, Subject::Runs).unwrap_err().to_string().contains("5000 values"));
    assert!(parse(&" ".repeat(200_001), Subject::Runs).is_err());
}

#[test]
fn models_and_prompts() {
    let read = |text: &str| {
        let (rest, prompts) = take_prompts(parse(text, Subject::RegisteredModels).unwrap());
        (prompts, rest)
    };
    let tag = "tags.`mlflow.prompt.is_prompt`";
    assert_eq!(read(&format!("{tag} = 'true'")), (true, Filter::default()));
    assert_eq!(read(&format!("{tag} != 'false'")), (true, Filter::default()));
    for models in ["= 'false'", "!= 'true'", "IS NULL", "LIKE 'true'"] {
        assert_eq!(read(&format!("{tag} {models}")), (false, Filter::default()), "{models}");
    }
    let (prompts, rest) = read(&format!("name = 'a' AND {tag} != 'true'"));
    let name = one(Field::Text("name"), Comparator::Equal, text("a"));
    assert_eq!((prompts, rest), (false, Filter::All(vec![name, Filter::default()])));
}

#[test]
fn orders() {
    let read = |text: &str| parse_order(text, Subject::Runs);
    let metric = || Field::Metric("a b".into());
    assert_eq!(read("metrics.`a b`  DESC").unwrap(), Order::by(metric(), true));
    assert_eq!(read("metrics.\"a b\" asc").unwrap(), Order::by(metric(), false));
    let start = || Field::Moment("started_at");
    assert_eq!(read("attributes.start_time").unwrap(), Order::by(start(), false));
    assert_eq!(read("Created DESC").unwrap(), Order::by(start(), true));
    for (bad, said) in [
        ("", "Invalid order_by clause ''. Could not be parsed."),
        ("DESC", "Could not be parsed"),
        ("x y z", "Invalid order_by clause 'x y z'. Could not be parsed."),
        ("metrics.a ACS", "Invalid ordering key in order_by clause 'metrics.a ACS'."),
        ("nothing", "Invalid attribute key 'nothing'"),
        ("metrics.`a", "Could not be parsed"),
        ("dataset.name", "Invalid order_by entity: dataset"),
    ] {
        let refused = read(bad).unwrap_err().to_string();
        assert!(refused.contains(said), "{bad}: {refused}");
    }
    let twice = ["metrics.a".to_owned(), "metrics.`a` DESC".to_owned()];
    let refused = parse_orders(&twice, Subject::Runs).unwrap_err().to_string();
    assert!(refused.contains("`order_by` contains duplicate fields"), "{refused}");
    assert!(parse_order("tags.a", Subject::Experiments).is_err());
    assert!(parse_order("metrics.a", Subject::LoggedModels).is_ok());
    assert!(parse_order("timestamp DESC", Subject::RegisteredModels).is_ok());
}

const SUBJECTS: [Subject; 5] = [
    Subject::Runs,
    Subject::Experiments,
    Subject::LoggedModels,
    Subject::RegisteredModels,
    Subject::ModelVersions,
];

/// Pieces that filters are made of, and what breaks them.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "metrics.a",
        "params.`b c`",
        "tags.\"x\"",
        "status",
        "start_time",
        "dataset.name",
        "run_id",
        "name",
        "version_number",
        "AND",
        "OR",
        "and",
        "NOT",
        "IN",
        "IS",
        "NULL",
        "LIKE",
        "ILIKE",
        "=",
        "!=",
        ">",
        "<=",
        "==",
        "(",
        ")",
        ",",
        "'x'",
        "''",
        "\"y\"",
        "0.5",
        "-1e9",
        "1",
        ";",
        "'",
        "`",
        "\"",
        ".",
        " ",
        "é",
        "\u{0}",
        "%",
        "a.b.c",
        "tags.",
    ]);
    prop_oneof![4 => words.prop_map(str::to_owned), 1 => any::<String>()]
}

fn shown_filter(filter: &Filter) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let joined = |parts: &[Filter], word: &str| {
        let parts: Vec<String> = parts.iter().map(shown_filter).collect();
        format!("({})", parts.join(word))
    };
    let comparison = match filter {
        Filter::All(all) => return joined(all, " AND "),
        Filter::Any(any) => return joined(any, " or "),
        Filter::One(comparison) => comparison,
    };
    let field = match &comparison.field {
        Field::Metric(key) => format!("metrics.`{key}`"),
        Field::Tag(key) => format!("tag.\"{key}\""),
        Field::Dataset(name) => format!("datasets.{name}"),
        _ => "run_id".to_owned(),
    };
    let list = |texts: &[String]| texts.iter().map(|t| quote(t)).collect::<Vec<_>>().join(", ");
    match &comparison.test {
        Test::Absent => format!("{field} IS NULL"),
        Test::Present => format!("{field} IS NOT NULL"),
        Test::Among(texts) => format!("{field} IN ({})", list(texts)),
        Test::NotAmong(texts) => format!("{field} NOT IN ({})", list(texts)),
        Test::Is(comparator, operand) => {
            let sign = match comparator {
                Comparator::Equal => "=",
                Comparator::NotEqual => "!=",
                Comparator::Greater => ">",
                Comparator::GreaterOrEqual => ">=",
                Comparator::Less => "<",
                Comparator::LessOrEqual => "<=",
                Comparator::Like => "LIKE",
                Comparator::Ilike => "ilike",
            };
            match operand {
                Operand::Number(number) => format!("{field} {sign} {number:?}"),
                Operand::Text(text) => format!("{field} {sign} {}", quote(text)),
            }
        }
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    let key = "[a-zA-Z0-9 ._/-]{1,8}";
    let value = "[^%\u{0}]{0,8}";
    let numeric = prop::sample::select(vec![
        Comparator::Equal,
        Comparator::NotEqual,
        Comparator::Greater,
        Comparator::LessOrEqual,
    ]);
    let textual = prop::sample::select(vec![
        Comparator::Equal,
        Comparator::NotEqual,
        Comparator::Like,
        Comparator::Ilike,
    ]);
    let metric = (key, numeric, -1e12..1e12f64)
        .prop_map(|(key, is, number)| one(Field::Metric(key), is, Operand::Number(number)));
    let tag = (key, textual, value)
        .prop_map(|(key, is, value)| one(Field::Tag(key), is, Operand::Text(value)));
    let listed = (prop::collection::vec(value, 1..4), any::<bool>()).prop_map(|(texts, among)| {
        let test = if among { Test::Among(texts) } else { Test::NotAmong(texts) };
        Filter::One(Comparison { field: Field::Dataset("name"), test })
    });
    let absent =
        key.prop_map(|key| Filter::One(Comparison { field: Field::Tag(key), test: Test::Absent }));
    let leaf = prop_oneof![metric, tag, listed, absent];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let many = prop::collection::vec(inner, 2..4);
        prop_oneof![many.clone().prop_map(Filter::All), many.prop_map(Filter::Any)]
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..24)) {
        for subject in SUBJECTS {
            let spaced = pieces.join(" ");
            let _ = parse(&spaced, subject);
            let _ = parse(&pieces.concat(), subject);
            let _ = parse_order(&spaced, subject);
        }
    }

    #[test]
    fn a_filter_written_out_reads_back(filter in filters()) {
        let text = shown_filter(&filter);
        let read = parse(&text, Subject::Runs);
        prop_assert_eq!(read.map_err(|e| format!("{e}: {text}")), Ok(filter));
    }
}
