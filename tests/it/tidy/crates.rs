//! Arrows between crates only go down; each outside world has one owner.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::root;

/// Ground to roof. A crate may use crates of lower floors only, so neighbours do not know each
/// other. `viaduct-testkit` is for tests of anybody.
const FLOORS: &[&[&str]] = &[
    &["viaduct-base"],
    &["viaduct-stats"],
    &["viaduct-domain", "viaduct-wire"],
    &[
        "viaduct-store",
        "viaduct-decisions",
        "viaduct-blob",
        "viaduct-infer",
        "viaduct-cluster",
        "viaduct-auth",
        "viaduct-outbound",
        "viaduct-telemetry",
    ],
    &["viaduct-gateway", "viaduct-lake", "viaduct-exchange"],
    &["viaduct-app"],
    &["viaduct-work"],
    &["viaduct-api", "viaduct-ui", "viaduct-cli"],
    &["viaduct-grpc"],
    &["viaduct"],
    &["viaduct-tests"],
];

/// Outside worlds and who may name them.
const OWNERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["viaduct-store"]),
    ("postgres", &["viaduct-store"]),
    ("tokio-postgres", &["viaduct-store"]),
    ("sqlx", &[]),
    ("ort", &["viaduct-infer"]),
    ("object_store", &["viaduct-blob"]),
    ("deltalake", &["viaduct-lake"]),
    ("datafusion", &["viaduct-lake"]),
    ("arrow", &["viaduct-lake"]),
    ("parquet", &["viaduct-lake"]),
    ("zstd", &["viaduct-decisions"]),
    ("kube", &["viaduct-cluster"]),
    ("argon2", &["viaduct-auth"]),
    ("ureq", &["viaduct-cli", "viaduct-outbound"]),
    ("graphql-parser", &["viaduct-api"]),
    ("axum", &["viaduct-api", "viaduct-ui", "viaduct", "viaduct-tests", "viaduct-testkit"]),
    ("tonic", &["viaduct-grpc", "viaduct-telemetry"]),
    ("prost", &["viaduct-grpc", "viaduct-telemetry"]),
    ("opentelemetry-proto", &["viaduct-telemetry"]),
    ("askama", &["viaduct-ui"]),
    ("clap", &["viaduct-cli", "viaduct", "xtask"]),
    ("statrs", &["viaduct-stats"]),
    ("nalgebra", &["viaduct-stats"]),
];

struct Dependency {
    name: String,
    is_dev: bool,
    source: Option<String>,
}

/// The packages of the workspace with what they name in their manifests.
fn packages() -> BTreeMap<String, Vec<Dependency>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let dependencies = dependencies.map(|dependency| Dependency {
            name: text(&dependency["name"]).unwrap(),
            is_dev: dependency["kind"] == "dev",
            source: text(&dependency["source"]),
        });
        found.insert(text(&package["name"]).unwrap(), dependencies.collect());
    }
    found
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

#[test]
fn arrows_only_go_down() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, dependencies) in &packages {
        if name == "xtask" || name == "viaduct-testkit" {
            continue;
        }
        let own = floor(name).unwrap_or_else(|| panic!("give `{name}` a floor in FLOORS"));
        for dependency in dependencies.iter().filter(|d| packages.contains_key(&d.name)) {
            let is_down = floor(&dependency.name).is_some_and(|other| other < own);
            let is_testkit = dependency.name == "viaduct-testkit" && dependency.is_dev;
            if !is_down && !is_testkit {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "these arrows go up or sideways: {wrong:?}");
}

#[test]
fn each_outside_world_has_its_owners() {
    let mut wrong = Vec::new();
    for (name, dependencies) in packages() {
        for dependency in dependencies {
            let owners = OWNERS.iter().find(|(world, _)| *world == dependency.name);
            if owners.is_some_and(|(_, owners)| !owners.contains(&name.as_str())) {
                wrong.push(format!("{name} names {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "these belong to somebody else: {wrong:?}");
}

#[test]
fn everything_comes_from_the_registry_or_from_here() {
    for (name, dependencies) in packages() {
        for dependency in dependencies {
            let source = dependency.source.as_deref().unwrap_or("registry+");
            assert!(source.starts_with("registry+"), "{name}: {} from {source}", dependency.name);
        }
    }
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let foreign: Vec<&str> =
        lock.lines().filter(|l| l.starts_with("source = ") && !l.contains("registry+")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn the_testkit_is_for_tests_only() {
    for (name, dependencies) in packages() {
        let uses = dependencies.iter().any(|d| d.name == "viaduct-testkit" && !d.is_dev);
        assert!(!uses, "{name} uses the testkit outside its tests");
    }
}

#[test]
fn the_map_in_the_architecture_page_is_true() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let told: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|rest| rest.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("viaduct") || name == "xtask")
        .collect();
    let real: BTreeSet<String> = packages().into_keys().collect();
    let missing: Vec<_> = real.difference(&told).collect();
    let gone: Vec<_> = told.difference(&real).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing {missing:?}, gone {gone:?}");
}
