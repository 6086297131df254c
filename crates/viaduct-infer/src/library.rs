//! Where ONNX Runtime's shared library may lie.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Which place of the search a library came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `[runtime] library` of the configuration.
    Configuration,
    /// The environment variable `ORT_DYLIB_PATH`.
    Environment,
    /// The directory of the binary.
    BesideBinary,
    /// `<data_dir>/runtime`, where `viaduct setup runtime` puts it.
    DataDirectory,
    /// The active Python environment's `onnxruntime` package.
    Python,
}

impl Origin {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Configuration => "the configuration",
            Origin::Environment => "`ORT_DYLIB_PATH`",
            Origin::BesideBinary => "beside the binary",
            Origin::DataDirectory => "the data directory",
            Origin::Python => "the active Python environment",
        }
    }
}

/// Every library that exists, in the order of the search. A path that somebody named comes back
/// also when it does not exist, and then alone, because naming it is a wish.
pub fn candidates(configured: Option<&Path>, data_dir: &Path) -> Vec<(Origin, PathBuf)> {
    if let Some(path) = configured {
        return vec![(Origin::Configuration, library_in(path))];
    }
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return vec![(Origin::Environment, library_in(Path::new(&path)))];
    }
    let mut found = Vec::new();
    let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
    let places = beside
        .map(|dir| (Origin::BesideBinary, dir))
        .into_iter()
        .chain([(Origin::DataDirectory, data_dir.join("runtime"))])
        .chain(python_dirs().into_iter().map(|dir| (Origin::Python, dir)));
    for (origin, dir) in places {
        found.extend(newest_library(&dir).map(|path| (origin, path)));
    }
    found
}

/// A directory stands for the library in it.
fn library_in(path: &Path) -> PathBuf {
    newest_library(path).unwrap_or_else(|| path.to_path_buf())
}

fn newest_library(dir: &Path) -> Option<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let version = name.strip_prefix("libonnxruntime.so")?;
            Some((version_key(version), name))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, name)| dir.join(name))
}

/// `.1.32.0` as numbers, so that 1.9 comes before 1.32.
fn version_key(suffix: &str) -> Vec<u64> {
    suffix.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// `site-packages/onnxruntime/capi` of the activated environments and of the `python3` on PATH.
fn python_dirs() -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(|name| env::var_os(name).map(PathBuf::from))
        .collect();
    let path = env::var_os("PATH").unwrap_or_default();
    let python = env::split_paths(&path).find(|dir| dir.join("python3").exists());
    prefixes.extend(python.and_then(|bin| bin.parent().map(Path::to_path_buf)));
    let mut found = Vec::new();
    for prefix in prefixes {
        for lib in ["lib", "lib64"] {
            let Ok(entries) = fs::read_dir(prefix.join(lib)) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if !name.to_string_lossy().starts_with("python3") {
                    continue;
                }
                for packages in ["site-packages", "dist-packages"] {
                    let dir = entry.path().join(packages).join("onnxruntime/capi");
                    if dir.is_dir() && !found.contains(&dir) {
                        found.push(dir);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_library_of_a_directory_and_a_wish_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("runtime");
        fs::create_dir(&runtime).unwrap();
        for name in ["libonnxruntime.so.1.9.1", "libonnxruntime.so.1.32.0", "other.so"] {
            fs::write(runtime.join(name), b"").unwrap();
        }
        let newest = runtime.join("libonnxruntime.so.1.32.0");
        assert_eq!(newest_library(&runtime), Some(newest.clone()));
        let found = candidates(Some(&runtime), dir.path());
        assert_eq!(found, [(Origin::Configuration, newest)]);
        let absent = dir.path().join("absent.so");
        assert_eq!(
            candidates(Some(&absent), dir.path()),
            [(Origin::Configuration, absent.clone())]
        );
    }
}
