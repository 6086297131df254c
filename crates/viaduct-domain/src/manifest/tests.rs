use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use viaduct_base::FieldError;

use crate::kpi::NotActed;

pub(crate) const TERM_DEPOSIT: &str = include_str!("term_deposit.yaml");
const BAD_FILES: &str = include_str!("bad_files.txt");

pub(crate) fn term_deposit() -> ProjectSpec {
    parse(TERM_DEPOSIT).unwrap()
}

fn errors(text: &str) -> Vec<FieldError> {
    parse(text).unwrap_err().errors
}

/// `line:column pointer detail`, as a client prints it.
fn said(text: &str) -> Vec<String> {
    let line = |e: &FieldError| {
        format!("{}:{} {} {}", e.line.unwrap(), e.column.unwrap(), e.pointer, e.detail)
    };
    errors(text).iter().map(line).collect()
}

/// Replaces the first such place of the good file.
fn edited(from: &str, to: &str) -> String {
    assert!(TERM_DEPOSIT.contains(from), "the good file has no `{from}`");
    TERM_DEPOSIT.replacen(from, to, 1)
}

#[test]
fn the_good_file_says_all_of_it() {
    let spec = term_deposit();
    assert_eq!((spec.name.as_str(), spec.workspace.as_str()), ("term-deposit", "default"));
    assert_eq!(spec.charter.task, Task::BinaryClassification);
    assert_eq!(spec.charter.people().count(), 6);
    assert_eq!(spec.tier.as_ref().unwrap().decisions_per_month, 3000.0);
    let kpi = spec.primary_kpi().unwrap();
    assert_eq!((kpi.name.as_str(), kpi.maturity), ("margin-per-lead", Span::days(21)));
    assert_eq!(kpi.value_if_not_acted, Some(NotActed::Amount(0.0)));
    assert_eq!(spec.kpis[1].value_if_not_acted, Some(NotActed::Observed));
    let endpoint = spec.endpoint.as_ref().unwrap();
    assert_eq!(endpoint.model.pick, Pick::Alias("champion".into()));
    assert_eq!(endpoint.business_as_usual.as_ref().unwrap().action, "call");
    let contract = spec.contract.as_ref().unwrap();
    assert_eq!((contract.fields().len(), contract.version()), (20, "1.0.0"));
    assert_eq!(spec.rule.as_ref().unwrap().when.to_string(), "probability >= 0.12");
    let trial = spec.trial.as_ref().unwrap();
    assert_eq!((trial.holdout, trial.mde, trial.guardrails.len()), (0.5, Mde::BreakEven, 1));
    assert_eq!(spec.costs.as_ref().unwrap().build, 5000.0);
}

/// Each case of `bad_files.txt` edits the good file in one place and lists what is said about it.
#[test]
fn bad_files_say_where_and_how_to_mend_it() {
    let mut found = String::new();
    for line in BAD_FILES.lines().filter(|line| line.starts_with("CASE ")) {
        let (from, to) = line.trim_start_matches("CASE ").split_once(" =>").unwrap();
        let to = to.strip_prefix(' ').unwrap_or(to);
        let escapes = |text: &str| text.replace("\\n", "\n").replace("\\t", "\t");
        let text = edited(&escapes(from), &escapes(to));
        found.push_str(&format!("{line}\n"));
        for error in said(&text) {
            found.push_str(&format!("  {error}\n"));
        }
    }
    if found != BAD_FILES {
        let path = std::env::temp_dir().join("viaduct_bad_files.txt");
        std::fs::write(&path, &found).unwrap();
        let pairs = found.lines().zip(BAD_FILES.lines()).find(|(found, wanted)| found != wanted);
        panic!("first difference: {pairs:?}; all that was said is in {}", path.display());
    }
}

#[test]
fn several_mistakes_come_at_once_in_order() {
    let text = edited("    purpose: marketing\n", "")
        .replace("mode: auto", "mode: automatic")
        .replace("type: mean", "type: median")
        .replace(
            "required: true\n            classification: public",
            "required: 1\n            classification: public",
        );
    let lines: Vec<u64> = errors(&text).iter().map(|e| e.line.unwrap()).collect();
    assert_eq!(lines.len(), 7, "{:#?}", said(&text));
    assert!(lines.is_sorted());
    let refusal = parse(&text).unwrap_err();
    assert_eq!(refusal.kind, Kind::InvalidManifest);
    assert!(
        refusal.detail.starts_with("the project file has 7 mistakes, the first: `charter` needs")
    );
}

#[test]
fn files_that_are_no_project() {
    for (text, expected) in [
        (
            "",
            "1:1  the file is empty: begin with `apiVersion: viaduct/v1`, `kind: Project`, `metadata` and `spec`",
        ),
        (
            "# nothing\n",
            "1:1  the file is empty: begin with `apiVersion: viaduct/v1`, `kind: Project`, `metadata` and `spec`",
        ),
        (
            "- a\n- b\n",
            "1:1  the file must be a mapping with `apiVersion`, `kind`, `metadata`, `spec`",
        ),
        (
            "date,value,n\n1,2,3\n",
            "1:1  the file must be a mapping with `apiVersion`, `kind`, `metadata`, `spec`",
        ),
    ] {
        assert_eq!(said(text), [expected]);
    }
    let minimal = "apiVersion: viaduct/v1\nkind: Project\nmetadata: {name: a}\nspec:\n  title: A\n  charter: {problem: p, purpose: q, task: regression}\n  kpis: [{name: k, unit: EUR, type: mean, direction: increase, source: csv}]\n";
    let spec = parse(minimal).unwrap();
    assert!(spec.kpis[0].primary && spec.workspace.as_str() == "default");
    let said = spec.warnings(&Known::default());
    assert_eq!(said.len(), 7, "{said:#?}");
}

#[test]
fn yaml_words_stay_texts() {
    let spec = term_deposit();
    let housing = spec.contract.as_ref().unwrap().field("housing").unwrap();
    assert_eq!(housing.values, [json!("no"), json!("yes"), json!("unknown")]);
}

#[test]
fn bombs_are_defused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let refs = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
    }
    let deep = "[".repeat(5_000);
    let wide = "- a\n".repeat(200_000);
    for text in [bomb.as_str(), deep.as_str(), wide.as_str()] {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.errors[0].detail.contains("not YAML that can be read"), "{refusal}");
        assert!(refusal.errors[0].detail.len() < 400, "{refusal}");
    }
    let many = format!(
        "apiVersion: viaduct/v1\nkind: Project\nmetadata: {{name: a}}\nspec:\n{}",
        (0..500).map(|n| format!("  zz{n}: 1\n")).collect::<String>()
    );
    let refusal = parse(&many).unwrap_err();
    assert_eq!(refusal.errors.len(), 50);
    assert!(refusal.detail.contains("503 mistakes"), "{refusal}");
}

#[test]
fn a_contract_in_its_own_file_is_the_same_contract() {
    let start = TERM_DEPOSIT.find("  contract:\n").unwrap();
    let end = TERM_DEPOSIT.find("  rule:\n").unwrap();
    let (block, rest) = (&TERM_DEPOSIT[start..end], &TERM_DEPOSIT[end..]);
    let inline = block.lines().skip(1).map(|line| format!("{}\n", &line[4..]));
    let contract: String = std::iter::once("---\n".to_owned()).chain(inline).collect();
    let project =
        format!("{}  contract: {{file: contract.odcs.yaml}}\n{rest}", &TERM_DEPOSIT[..start]);

    assert_eq!(contract_file(&project).as_deref(), Some("contract.odcs.yaml"));
    assert_eq!(contract_file(TERM_DEPOSIT), None);
    let alone = parse(&project).unwrap();
    assert_eq!(alone.contract, None);
    let warnings = alone.warnings(&Known::default());
    assert!(
        warnings
            .iter()
            .any(|w| w
                == "the contract file `contract.odcs.yaml` was not sent along: D1 waits for it"),
        "{warnings:#?}"
    );

    let whole = attach_contract(&project, &contract);
    let spec = parse(&whole).unwrap();
    assert_eq!(
        spec.section_hash(Section::Contract),
        term_deposit().section_hash(Section::Contract)
    );

    let bad = attach_contract(
        &project,
        &contract.replacen("logicalType: integer", "logicalType: whole", 1),
    );
    let error = &errors(&bad)[0];
    let offset = project.lines().count() as u64 + 1;
    let in_contract =
        contract.lines().skip(1).position(|line| line.contains("logicalType: integer"));
    assert_eq!(error.line.unwrap(), offset + in_contract.unwrap() as u64 + 1, "{error:?}");
    assert_eq!(error.pointer, "/schema/0/properties/0/logicalType");

    let stray = attach_contract(TERM_DEPOSIT, &contract);
    assert!(said(&stray)[0].contains("a second document is read only when"), "{:?}", said(&stray));
}

#[test]
fn stored_json_comes_back_the_same() {
    let spec = term_deposit();
    let text = serde_json::to_string(&spec).unwrap();
    let back: ProjectSpec = serde_json::from_str(&text).unwrap();
    assert_eq!(back, spec);
    for section in [
        Section::Charter,
        Section::Kpis,
        Section::Endpoint,
        Section::Contract,
        Section::Rule,
        Section::Trial,
    ] {
        assert_eq!(back.section_hash(section), spec.section_hash(section));
    }
    assert_eq!(spec.section_hash(Section::Rule), spec.rule.as_ref().unwrap().hash());
    assert_eq!(spec.section_hash(Section::Contract), *spec.contract.as_ref().unwrap().hash());
}

#[test]
fn a_section_hash_changes_with_its_section_only() {
    let (old, new) = (term_deposit(), parse(&edited("threshold: 0.12", "threshold: 0.2")).unwrap());
    assert_ne!(old.section_hash(Section::Rule), new.section_hash(Section::Rule));
    for section in
        [Section::Charter, Section::Kpis, Section::Endpoint, Section::Contract, Section::Trial]
    {
        assert_eq!(old.section_hash(section), new.section_hash(section), "{section:?}");
    }
}

#[test]
fn diffs_name_the_place() {
    let old = term_deposit();
    assert_eq!(diff(&old, &old), []);
    let text = edited("threshold: 0.12", "threshold: 0.2")
        .replacen("maturity: P21D", "maturity: P28D", 1)
        .replacen("maximum: 100", "maximum: 99", 1)
        .replacen("members: [ana]", "members: [ana, tom]", 1)
        .replacen("guardrails: [{kpi: complaints, margin: 0.1}]", "guardrails: []", 1)
        .replacen(
            "  costs: {run_per_month: 900, per_action: 0, currency: EUR, build: 5000}\n",
            "",
            1,
        );
    let changes = diff(&old, &parse(&text).unwrap());
    let brief: Vec<_> =
        changes.iter().map(|c| format!("{}: {} -> {}", c.path, c.before, c.after)).collect();
    assert_eq!(
        brief,
        [
            r#"charter.members: ["ana"] -> ["ana","tom"]"#,
            "contract.schema[leads].properties[age].logicalTypeOptions.maximum: 100 -> 99",
            r#"costs: {"build":5000.0,"currency":"EUR","per_action":0.0,"run_per_month":900.0} -> null"#,
            r#"kpis[margin-per-lead].maturity: "P21D" -> "P28D""#,
            "rule.when.threshold: 0.12 -> 0.2",
            r#"trial.guardrails[complaints]: {"kpi":"complaints","margin":0.1} -> null"#,
        ]
    );
    let all = created(&old);
    assert!(all.iter().all(|c| c.before == Value::Null && c.after != Value::Null));
    assert_eq!(all[0].path, "charter");
}

#[test]
fn warnings_name_what_is_not_there_yet() {
    let spec = term_deposit();
    let said = spec.warnings(&Known::default());
    assert_eq!(
        said,
        [
            "the user `bea` (`charter.business_owner`) does not exist yet: `viaduct user add bea`",
            "the user `tom` (`charter.technical_owner`) does not exist yet: `viaduct user add tom`",
            "the user `sam` (`charter.successor`) does not exist yet: `viaduct user add sam`",
            "the user `rita` (`charter.risk_partner`) does not exist yet: `viaduct user add rita`",
            "the user `dan` (`charter.data_owners`) does not exist yet: `viaduct user add dan`",
            "the user `ana` (`charter.members`) does not exist yet: `viaduct user add ana`",
            "the model `term-deposit` is not registered yet: the endpoint `term-deposit` answers business as usual until it is",
            "the history `data/history.csv` of the KPI `margin-per-lead` is not loaded yet: A2 waits for it",
        ]
    );
    let set = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    let mut known = Known {
        users: set(&["bea", "tom", "sam", "rita", "dan", "ana"]),
        models: set(&["term-deposit"]),
        files: set(&["data/history.csv"]),
    };
    assert_eq!(spec.warnings(&known), ["the model `term-deposit` has no alias `champion` yet"]);
    known.models.insert("term-deposit@champion".into());
    assert_eq!(spec.warnings(&known), [] as [&str; 0]);

    let text = edited("value: [marketing]", "value: [research]")
        .replacen("technical_owner: tom", "technical_owner: bea", 1)
        .replacen("{action: call}", "{action: letter}", 1)
        .replacen("    queue: {name: call-centre, daily_capacity: 400}\n", "", 1)
        .replacen("property: viaduct.available", "property: acme.available", 1);
    let said = parse(&text).unwrap().warnings(&known);
    assert_eq!(
        said,
        [
            "`bea` is both owners: O1 needs two distinct people",
            "the contract `term-deposit-leads` does not approve the purpose `marketing` (`viaduct.purposes`): D3 stays shut",
            "the contract does not say when these are known (`viaduct.available`): `age`; M3 has not enough data for them",
            "the rule `call-list` names no `queue`: I1 cannot compare its volume with a capacity",
            "business as usual does `letter`, the rule `call` or `skip`: a shadow cannot tell what another action would have been worth",
        ]
    );
}

#[test]
fn models_are_named_by_alias_or_version() {
    for (text, pick) in [("a@prod", Pick::Alias("prod".into())), ("a.b-c_d/12", Pick::Version(12))]
    {
        let model: ModelRef = text.parse().unwrap();
        assert_eq!((model.to_string().as_str(), &model.pick), (text, &pick));
    }
    for bad in ["a", "@prod", "a@", "a/x", "a/-1", "a b@prod", "models:/a@prod", "a@b@c"] {
        assert!(bad.parse::<ModelRef>().is_err(), "{bad}");
    }
}

#[test]
fn the_shipped_example_is_a_valid_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/term-deposit/viaduct.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let spec = parse(&text).unwrap_or_else(|e| panic!("{e}: {:#?}", e.errors));
    assert!(spec.trial.is_some() && spec.contract.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is cut out or typed in: no panic, and every error has a place inside the text.
    #[test]
    fn any_edit_is_read_or_refused_with_a_place(
        at in 0usize..TERM_DEPOSIT.len(),
        cut in 0usize..60,
        typed in "[ a-z0-9:{}\\[\\]&*!|>'\",#\n-]{0,6}",
    ) {
        let end = (at + cut).min(TERM_DEPOSIT.len());
        let text = format!("{}{typed}{}", &TERM_DEPOSIT[..at], &TERM_DEPOSIT[end..]);
        if let Err(refusal) = parse(&text) {
            prop_assert!(!refusal.errors.is_empty());
            for error in refusal.errors {
                let line = error.line.unwrap_or(0);
                prop_assert!((1..=text.lines().count() as u64 + 1).contains(&line), "{error:?}");
                prop_assert!(error.column.unwrap_or(0) >= 1, "{error:?}");
            }
        }
    }
}

#[test]
fn an_endpoint_file_reads_every_key() {
    let text = "apiVersion: viaduct/v1\nkind: Endpoint\nmetadata: {name: churn}\nspec:\n  \
                model: churn@champion\n  entity: customer_id\n  keys: [order_id]\n  \
                fallback: {action: call, output: {value: 1}}\n  \
                limits: {queue: 8, deadline_ms: 200, rows_max: 100}\n  retention: hashed\n  \
                guards: [{what: latency_p99_ms, max: 50}]\n  trusted_override: true\n  \
                rollout: {steps: [{shadow: true, min_time: PT1S}]}\n";
    assert!(is_endpoint(text));
    let spec = parse_endpoint(text).unwrap().spec;
    assert_eq!((spec.name.as_str(), spec.limits.queue), ("churn", Some(8)));
    assert_eq!((spec.fallback.as_str(), spec.retention.as_str()), ("constant", "hashed"));
    assert_eq!((spec.guards.len(), spec.trusted_override), (1, true));
    assert!(spec.rollout.as_ref().unwrap().is_shadow_only());
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<EndpointSpec>(&json).unwrap(), spec);

    let bad = text.replace("fallback: {action: call", "fallback: {acton: call");
    let bad = bad.replace("retention: hashed", "retention: hash").replace("max: 50", "mx: 50");
    let errors = parse_endpoint(&bad).unwrap_err().errors;
    let said: Vec<_> = errors.iter().map(|e| (e.line.unwrap(), e.detail.as_str())).collect();
    let has = |line, part: &str| said.iter().any(|(l, d)| *l == line && d.contains(part));
    assert!(has(8, "did you mean `action`?"), "{said:?}");
    assert!(has(10, "did you mean `hashed`?"), "{said:?}");
    assert!(has(11, "did you mean `max`?"), "{said:?}");
}
