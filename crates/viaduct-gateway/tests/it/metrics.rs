use std::io::Write;
use std::process::Stdio;

use serde_json::json;
use viaduct_base::RolloutId;
use viaduct_gateway::{Challenger, EndpointSnapshot, Mode, ServedModel};

use crate::python;
use crate::world::{World, endpoint, lead, model, refusal};

#[test]
fn the_reference_parser_reads_every_family() {
    let other = ServedModel { version: 4, onnx: python::model("fails.onnx"), ..model() };
    let challenger = Challenger {
        rollout: RolloutId::from_u128(9),
        salt: "r".into(),
        model: other,
        share_bp: 5_000,
        shadow: false,
    };
    let world = World::new(EndpointSnapshot {
        challenger: Some(challenger),
        ..endpoint(Mode::Champion { salt: "s".into(), holdout_bp: 1_000 })
    });
    world.ask((0..200).map(lead).collect()).unwrap();
    refusal(world.ask(vec![json!({"age": 4})]));
    let mut odd = lead(3);
    odd["age"] = json!(170);
    world.ask(vec![odd]).unwrap();
    let mut text = String::new();
    world.gateway.write_metrics(&mut text);
    text.push_str("# EOF\n");
    let mut child =
        python::run("openmetrics.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "the parser declined\n{text}");
    let read = String::from_utf8(done.stdout).unwrap();
    for family in [
        "counter viaduct_variant_errors 3",
        "counter viaduct_variant_fallbacks 3",
        "histogram viaduct_variant_model_duration_seconds ",
        "histogram viaduct_predict_wait_seconds ",
        "gauge viaduct_predict_queue 1",
        "counter viaduct_model_cache_loads 1",
        "counter viaduct_predict_violations 1",
    ] {
        assert!(read.contains(family), "`{family}` is not in\n{read}");
    }
    let fallbacks =
        "viaduct_variant_fallbacks_total{endpoint=\"term-deposit\",variant=\"challenger\"}";
    let line = text.lines().find_map(|line| line.strip_prefix(fallbacks)).unwrap();
    assert!(line.trim().parse::<u64>().unwrap() > 10, "{line}");
}
