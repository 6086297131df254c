//! A version behind another server: the same model in Python, over a Unix socket and over TCP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use viaduct_base::{Kind, RolloutId};
use viaduct_domain::assign::Variant;
use viaduct_gateway::{Challenger, EndpointSnapshot, Engine, Mode, ServedModel};

use crate::python;
use crate::world::{World, endpoint, lead, model, refusal, snapshot};

struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(address: &str) -> Self {
        let mut child = python::run("oip_server.py")
            .arg(python::model("model.onnx"))
            .arg(address)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = match line.trim().strip_prefix("ready") {
            Some("") => format!("unix:{address}"),
            Some(port) => format!("http://127.0.0.1:{}", port.trim()),
            None => panic!("{line}"),
        };
        Self(child, url)
    }

    fn served(&self) -> ServedModel {
        let engine = Engine::Remote { url: self.1.clone(), model: "model".into() };
        ServedModel { version: 4, onnx: "".into(), engine, ..model() }
    }
}

#[test]
fn a_remote_version_says_what_the_model_says() {
    let dir = tempfile::tempdir().unwrap();
    let local = World::new(endpoint(Mode::Unowned));
    let expected = local.ask((0..60).map(lead).collect()).unwrap();
    let socket = dir.path().join("side.sock");
    for address in [socket.to_str().unwrap(), "tcp"] {
        let server = Server::start(address);
        let spec = EndpointSnapshot { model: Some(server.served()), ..endpoint(Mode::Unowned) };
        let world = World::new(spec);
        let answers = world.ask((0..60).map(lead).collect()).unwrap();
        for (answer, expected) in answers.iter().zip(&expected) {
            assert_eq!((answer.model_version, &answer.action), (Some(4), &expected.action));
            assert_eq!(answer.output, expected.output);
        }
        let row = world.row(&answers[59]);
        let again = world.gateway.replay(&row, server.served()).unwrap();
        assert_eq!(serde_json::to_value(again).ok(), row.output);
        assert_eq!(world.gateway.log().stats().rows, 60);
        // The server goes away: that is said, and a restart of it is enough.
        drop(server);
        let refused = refusal(world.ask(vec![lead(1)]));
        assert_eq!(refused.kind, Kind::NotReady);
        assert!(refused.detail.contains("does not answer"), "{}", refused.detail);
        assert!(!world.gateway.readiness().degraded.is_empty());
        if address != "tcp" {
            std::fs::remove_file(&socket).unwrap();
            let _server = Server::start(address);
            assert!(world.ask(vec![lead(1)]).is_ok());
            assert!(world.gateway.readiness().degraded.is_empty());
        }
    }
}

#[test]
fn a_remote_challenger_that_dies_costs_no_answer() {
    let server = Server::start("tcp");
    let challenger = Challenger {
        rollout: RolloutId::from_u128(9),
        salt: "r".into(),
        model: server.served(),
        share_bp: 10_000,
        shadow: false,
    };
    let spec = EndpointSnapshot { challenger: Some(challenger), ..endpoint(Mode::Unowned) };
    let world = World::new(spec);
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.variant, answer.model_version), (Variant::Challenger, Some(4)));
    drop(server);
    let answer = world.ask(vec![lead(59)]).unwrap().remove(0);
    assert_eq!((answer.model_version, answer.is_fallback), (Some(3), true));
}

#[test]
fn an_address_that_is_none_is_said_at_publication() {
    let world = World::new(endpoint(Mode::Shadow));
    let engine = Engine::Remote { url: "ftp://x".into(), model: "m".into() };
    let served = ServedModel { onnx: "".into(), engine, ..model() };
    let spec = EndpointSnapshot { model: Some(served), ..endpoint(Mode::Shadow) };
    let problems = world.gateway.publish(snapshot(spec)).unwrap();
    assert!(problems[0].detail.contains("`http://host:port`"), "{problems:?}");
}
