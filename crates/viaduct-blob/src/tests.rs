use super::*;

fn path(text: &str) -> BlobPath {
    text.parse().unwrap()
}

fn memory() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let mut places = Places::in_folder(folder.path());
    places.proxy = Place::Store("memory://b/some/prefix".into());
    (folder, Blobs::open_at(&places).unwrap())
}

fn in_folder() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    (folder, blobs)
}

fn objects(folder: &tempfile::TempDir) -> usize {
    let shelves = std::fs::read_dir(folder.path().join(".objects")).unwrap();
    shelves.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn whole_or_not_at_all() {
    for (folder, blobs) in [in_folder(), memory()] {
        let mut half = blobs.begin(&path("1/run/model.onnx")).unwrap();
        half.write_all(b"half").unwrap();
        assert!(blobs.open_blob(&path("1/run/model.onnx")).unwrap().is_none());
        drop(half);
        blobs.put(&path("1/run/model.onnx"), b"whole").unwrap();
        blobs.put(&path("1/run/viaduct/train.json"), b"{}").unwrap();
        assert_eq!(blobs.read(&path("1/run/model.onnx"), 10).unwrap().unwrap(), b"whole");
        assert!(blobs.read(&path("1/run/model.onnx"), 3).is_err());
        assert!(blobs.read(&path("1/run"), 10).unwrap().is_none());
        let names: Vec<String> =
            blobs.walk(&path("1")).unwrap().iter().map(|e| e.path.to_string()).collect();
        assert_eq!(names, ["1/run/model.onnx", "1/run/viaduct/train.json"]);
        assert_eq!(blobs.list(None).unwrap().len(), 1);
        let file = blobs.local_file(&path("1/run/model.onnx")).unwrap().unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"whole");
        assert!(file.ends_with("model.onnx") && file.starts_with(folder.path()));
        assert!(blobs.local_file(&path("1/run")).unwrap().is_none());
        let mut tail = String::new();
        let mut from = blobs.open_from(&path("1/run/model.onnx"), 2).unwrap().unwrap();
        from.reader.read_to_string(&mut tail).unwrap();
        assert_eq!((tail.as_str(), from.bytes), ("ole", 5));
        let mut behind = blobs.open_from(&path("1/run/model.onnx"), 9).unwrap().unwrap();
        assert_eq!(behind.reader.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(blobs.digest(&path("1/run/model.onnx")).unwrap(), Some(Digest::of(b"whole")));
        assert!(blobs.delete(&path("1/run")).unwrap());
        assert!(!blobs.delete(&path("1/run")).unwrap());
        assert!(blobs.walk(&path("1")).unwrap().is_empty());
    }
}

#[test]
fn a_folder_is_there_as_files() {
    for (_folder, blobs) in [in_folder(), memory()] {
        blobs.put(&path("1/model/MLmodel"), b"flavors: {}").unwrap();
        blobs.put(&path("1/model/data/model.onnx"), b"first").unwrap();
        let place = blobs.local_folder(&path("1/model")).unwrap();
        assert_eq!(std::fs::read(place.join("MLmodel")).unwrap(), b"flavors: {}");
        assert_eq!(std::fs::read(place.join("data/model.onnx")).unwrap(), b"first");
        assert_eq!(blobs.local_folder(&path("1/model")).unwrap(), place);
        blobs.put(&path("1/model/data/model.onnx"), b"second").unwrap();
        let place = blobs.local_folder(&path("1/model")).unwrap();
        assert_eq!(std::fs::read(place.join("data/model.onnx")).unwrap(), b"second");
    }
}

#[test]
fn a_large_object_goes_in_parts() {
    let (_folder, blobs) = memory();
    let piece = vec![7_u8; 1 << 20];
    let mut large = blobs.begin(&path("1/large")).unwrap();
    for _ in 0..20 {
        large.write_all(&piece).unwrap();
    }
    assert!(blobs.open_blob(&path("1/large")).unwrap().is_none());
    large.commit().unwrap();
    let found = blobs.open_blob(&path("1/large")).unwrap().unwrap();
    assert_eq!(found.bytes, 20 << 20);
    let mut cut = blobs.begin(&path("1/cut")).unwrap();
    (0..20).for_each(|_| cut.write_all(&piece).unwrap());
    drop(cut);
    assert!(blobs.open_blob(&path("1/cut")).unwrap().is_none());
}

#[test]
fn the_same_bytes_are_stored_once_and_collected_when_unnamed() {
    let (folder, blobs) = in_folder();
    for name in ["1/a", "1/b", "2/c", "1/a"] {
        blobs.put(&path(name), b"same").unwrap();
    }
    blobs.put(&path("2/d"), b"other").unwrap();
    assert_eq!(objects(&folder), 2);
    let tag = |name: &str| blobs.open_blob(&path(name)).unwrap().unwrap().tag;
    assert_eq!((tag("1/a") == tag("2/c"), tag("1/a") == tag("2/d")), (true, false));
    blobs.put(&path("1/a"), b"new").unwrap();
    assert_eq!(blobs.read(&path("1/b"), 9).unwrap().unwrap(), b"same");
    assert!(std::fs::read_dir(folder.path().join(".uploads")).unwrap().next().is_none());
    assert_eq!(blobs.gc().unwrap(), Collected::default());
    blobs.delete(&path("1")).unwrap();
    blobs.delete(&path("2/d")).unwrap();
    assert_eq!(blobs.gc().unwrap(), Collected { objects: 2, bytes: 8 });
    assert_eq!(blobs.read(&path("2/c"), 9).unwrap().unwrap(), b"same");
    let listed: Vec<_> = blobs.list(None).unwrap();
    assert_eq!(listed.len(), 1, "our own folders are not listed: {listed:?}");
}

#[test]
fn a_folder_of_before_reads_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("1/run")).unwrap();
    std::fs::write(folder.path().join("1/run/old"), "old").unwrap();
    std::fs::create_dir_all(folder.path().join(".uploads")).unwrap();
    std::fs::write(folder.path().join(".uploads/stray"), "half").unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    assert!(!folder.path().join(".uploads/stray").exists());
    assert_eq!(blobs.read(&path("1/run/old"), 9).unwrap().unwrap(), b"old");
    assert_eq!(blobs.digest(&path("1/run/old")).unwrap(), Some(Digest::of(b"old")));
}

#[test]
fn a_link_is_no_blob_and_no_way() {
    let (folder, blobs) = in_folder();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.path().join("way")).unwrap();
    assert!(blobs.open_blob(&path("link")).unwrap().is_none());
    assert!(blobs.open_blob(&path("way/passwd")).unwrap().is_none());
    assert!(blobs.list(Some(&path("way"))).unwrap().is_empty());
    assert!(blobs.list(None).unwrap().is_empty());
    assert!(blobs.put(&path("way/new"), b"x").is_err());
    assert!(!blobs.delete(&path("way/passwd")).unwrap());
}

#[test]
fn a_root_of_the_clients_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut places = Places::in_folder(&folder.path().join("data"));
    let elsewhere = |uri: &str| BlobPath::of_elsewhere(uri).unwrap().unwrap();
    places.roots = vec![(elsewhere("s3://b/x"), Place::Folder(folder.path().join("root")))];
    let blobs = Blobs::open_at(&places).unwrap();
    let inside = elsewhere("s3://b/x/1/run");
    blobs.put(&inside.join("f").unwrap(), b"x").unwrap();
    assert_eq!(std::fs::read(folder.path().join("root/1/run/f")).unwrap(), b"x");
    let listed = blobs.list(Some(&inside)).unwrap();
    assert_eq!(listed[0].path.elsewhere().unwrap(), "s3://b/x/1/run/f");
    assert_eq!(blobs.walk(&elsewhere("s3://b/x")).unwrap(), listed);
    for other in ["s3://b/xy/1", "s3://b", "/etc"] {
        assert!(blobs.list(Some(&elsewhere(other))).is_err(), "{other}");
        assert!(blobs.open_blob(&elsewhere(other)).is_err(), "{other}");
        assert!(blobs.put(&elsewhere(other), b"x").is_err(), "{other}");
    }
    assert!(blobs.list(None).unwrap().is_empty());
}
