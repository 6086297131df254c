//! Many models, little memory.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

use viaduct_base::Kind;
use viaduct_infer::{LoadOptions, ModelCache, ModelSource};

use crate::python::{MODELS, RUNTIME, model_path, typed};

fn source(key: &str, path: &Path) -> ModelSource {
    ModelSource { key: key.into(), path: path.to_path_buf(), options: LoadOptions::default() }
}

#[test]
fn a_stampede_loads_once_and_everybody_gets_the_same() {
    let cache = ModelCache::new(RUNTIME.clone(), 1 << 30);
    let source = source("forest", &model_path("forest_zipmap.onnx"));
    let barrier = Barrier::new(16);
    let models: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            cache.get(&source).unwrap()
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(models.iter().all(|model| Arc::ptr_eq(model, &models[0])));
    assert_eq!(cache.stats().loads, 1);
    let rows = typed(&MODELS.1["forest_zipmap"]["rows"], &["a", "b", "c"]);
    assert_eq!(models[0].predict(&rows).unwrap().len(), rows.len());
}

#[test]
fn the_longest_unused_leaves_and_comes_back_when_asked() {
    let path = model_path("logistic.onnx");
    let probe = ModelCache::new(RUNTIME.clone(), u64::MAX);
    probe.get(&source("probe", &path)).unwrap();
    let one = probe.stats().bytes;
    let floor = fs::metadata(&path).unwrap().len() * 2;
    assert!(one >= floor, "{one} bytes for a file of {floor}");
    // Estimates of one file differ by what the process happens to grow, so the room is for many.
    let cache = ModelCache::new(RUNTIME.clone(), 0);
    let names = ["a", "b", "c"];
    let first = cache.get(&source("a", &path)).unwrap();
    for name in names {
        cache.get(&source(name, &path)).unwrap();
        assert_eq!(cache.stats().models, 1, "one is always held");
        assert_eq!(&*cache.held()[0].0, name);
    }
    assert_eq!((cache.stats().loads, cache.stats().evictions), (3, 2));
    let rows = typed(&MODELS.1["logistic"]["rows"], &["a", "b", "c"]);
    assert_eq!(first.predict(&rows).unwrap().len(), rows.len(), "a call on one that left goes on");
    assert!(cache.peek("a").is_none() && cache.peek("c").is_some());
    cache.get(&source("a", &path)).unwrap();
    assert_eq!(cache.stats().loads, 4);
    cache.remove("a");
    assert_eq!((cache.stats().models, cache.stats().bytes), (0, 0));
}

#[test]
fn use_decides_who_leaves() {
    let path = model_path("logistic.onnx");
    let wide = ModelCache::new(RUNTIME.clone(), u64::MAX);
    for name in ["a", "b", "c"] {
        wide.get(&source(name, &path)).unwrap();
    }
    wide.get(&source("a", &path)).unwrap();
    let order: Vec<String> = wide.held().iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(order, ["a", "c", "b"]);
    assert_eq!(wide.stats().loads, 3);
}

#[test]
fn a_broken_file_is_refused_to_all_and_read_again_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    fs::write(&path, b"not a model").unwrap();
    let cache = ModelCache::new(RUNTIME.clone(), 1 << 30);
    let source = source("broken", &path);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(cache.get(&source).unwrap_err().kind, Kind::ModelNotServable);
            });
        }
    });
    assert_eq!(cache.stats().failures, 1, "one read for all");
    fs::copy(model_path("logistic.onnx"), &path).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert!(cache.get(&source).is_ok());
}
