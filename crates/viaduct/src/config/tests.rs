use std::path::{Path, PathBuf};

use super::show::hide_password;
use super::*;

fn inputs(directory: &Path) -> Inputs {
    Inputs { directory: directory.to_path_buf(), ..Inputs::default() }
}

fn write(path: PathBuf, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn config(inputs: &Inputs) -> Result<Config, ConfigError> {
    Config::check(&Settings::load(inputs)?)
}

#[test]
fn nothing_is_required() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&inputs(dir.path())).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7878");
    assert_eq!(config.data_dir, dir.path().join("viaduct-data"));
    let file = dir.path().join("viaduct-data/viaduct.db");
    assert_eq!(config.database.url, viaduct_store::DatabaseUrl::Sqlite(file));
    assert_eq!(config.clock, ClockChoice::System);
    assert_eq!(config.reproduce.python, None);
}

#[test]
fn file_then_variable_then_flag() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("viaduct.toml"), "[server]\nlisten = \"127.0.0.1:1\"\n");
    let mut said = inputs(dir.path());
    assert_eq!(config(&said).unwrap().listen.port(), 1);
    said.environment = vec![("VIADUCT__SERVER__LISTEN".into(), "127.0.0.1:2".into())];
    assert_eq!(config(&said).unwrap().listen.port(), 2);
    said.flags = vec![("server.listen", "--listen", "127.0.0.1:3".into())];
    assert_eq!(config(&said).unwrap().listen.port(), 3);
}

#[test]
fn a_named_file_wins_then_the_working_directory_then_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let listen = |port: u16| format!("[server]\nlisten = \"127.0.0.1:{port}\"\n");
    write(dir.path().join("kept/viaduct.toml"), &listen(30));
    let mut said = inputs(dir.path());
    said.flags = vec![("server.data_dir", "--data-dir", "kept".into())];
    assert_eq!(config(&said).unwrap().listen.port(), 30);
    write(dir.path().join("viaduct.toml"), &listen(20));
    assert_eq!(config(&said).unwrap().listen.port(), 20);
    write(dir.path().join("other.toml"), &listen(10));
    said.config_file = Some("other.toml".into());
    assert_eq!(config(&said).unwrap().listen.port(), 10);
    said.config_file = Some("absent.toml".into());
    let error = config(&said).unwrap_err().to_string();
    assert!(error.starts_with("configuration file `absent.toml` cannot be read"), "{error}");
}

#[test]
fn relative_paths_start_at_the_file_that_says_them() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[gates]\npolicy = \"../policy.yaml\"\n[reproduce]\npython = \"python3\"\n";
    write(dir.path().join("etc/v.toml"), text);
    let mut said = inputs(dir.path());
    said.config_file = Some("etc/v.toml".into());
    let config = config(&said).unwrap();
    assert_eq!(config.policy, Some(dir.path().join("policy.yaml")));
    assert_eq!(config.reproduce.python, Some("python3".into()));
}

#[test]
fn unknown_keys_name_file_line_and_nearest() {
    let cases = [
        (
            "[server]\n\nlissten = \"x\"\n",
            "viaduct.toml:3: there is no key `server.lissten`: did you mean `server.listen`?",
        ),
        (
            "[sever]\nlisten = \"x\"\n",
            "viaduct.toml:1: there is no section `sever`: did you mean `server`?",
        ),
        (
            "listen = \"x\"\n",
            "viaduct.toml:1: there is no section `listen`: write `listen` under `[server]`",
        ),
        ("server = 1\n", "viaduct.toml:1: `server` must be a section, as in `[server]`"),
        (
            "[log]\nlevel = {}\n",
            "viaduct.toml:2: `log.level` must be a text, a number or a list of texts",
        ),
    ];
    for (text, wanted) in cases {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path().join("viaduct.toml"), text);
        assert_eq!(config(&inputs(dir.path())).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn unknown_variables_name_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = inputs(dir.path());
    said.environment = vec![
        ("HOME".into(), "/root".into()),
        ("VIADUCT_SERVER".into(), "http://x".into()),
        ("VIADUCT__SERVER__LISTN".into(), "x".into()),
    ];
    assert_eq!(
        config(&said).unwrap_err().to_string(),
        "environment VIADUCT__SERVER__LISTN: there is no variable `VIADUCT__SERVER__LISTN`: \
         did you mean `VIADUCT__SERVER__LISTEN`?"
    );
}

#[test]
fn text_that_is_no_toml_names_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("viaduct.toml"), "[server]\nlisten = \n");
    let error = config(&inputs(dir.path())).unwrap_err().to_string();
    assert!(error.starts_with("viaduct.toml:2:"), "{error}");
}

#[test]
fn values_without_meaning_are_refused_with_the_mend() {
    let cases = [
        ("server.listen", "7878", "an address and a port"),
        ("database.url", "mysql://x", "a `postgres://…` address"),
        ("clock.kind", "fast", "`system` or `simulated`"),
        ("log.format", "xml", "`text` or `json`"),
        ("decisions.durability", "maybe", "`os` or `fsync`"),
        ("reproduce.time_limit", "soon", "an ISO 8601 duration"),
        ("reproduce.memory_limit_mib", "-1", "a whole number of MiB"),
        ("clock.start", "2026-01-01T00:00:00Z", "only a simulated clock starts somewhere"),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (key, value, wanted) in cases {
        let mut said = inputs(dir.path());
        said.flags = vec![(key, "--flag", value.into())];
        let error = config(&said).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn lists_come_from_arrays_and_from_commas() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("viaduct.toml"), "[server]\nallowed_hosts = [\"a.example\"]\n");
    let mut said = inputs(dir.path());
    assert_eq!(config(&said).unwrap().allowed_hosts, ["a.example"]);
    said.environment = vec![("VIADUCT__SERVER__ALLOWED_HOSTS".into(), "b, c".into())];
    assert_eq!(config(&said).unwrap().allowed_hosts, ["b", "c"]);
}

#[test]
fn show_names_origins_and_hides_passwords() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path().join("viaduct.toml"), "[log]\nlevel = \"debug\"\n");
    let mut said = inputs(dir.path());
    said.environment = vec![("VIADUCT__SERVER__LISTEN".into(), "127.0.0.1:9".into())];
    said.flags = vec![("database.url", "--database", "postgres://me:hush@db/v".into())];
    let text = show(&Settings::load(&said).unwrap(), Detail::Values);
    let line = |start: &str| text.lines().find(|l| l.starts_with(start)).unwrap();
    assert!(line("level").ends_with("# viaduct.toml:2"), "{text}");
    assert!(line("listen").ends_with("# environment VIADUCT__SERVER__LISTEN"), "{text}");
    assert!(line("url").starts_with("url = \"postgres://me:…@db/v\""), "{text}");
    assert!(line("format").ends_with("# built in"), "{text}");
    assert!(!text.contains("hush"));
}

#[test]
fn what_show_prints_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let text = show(&Settings::load(&inputs(dir.path())).unwrap(), Detail::Explained);
    write(dir.path().join("viaduct.toml"), &text);
    assert!(config(&inputs(dir.path())).is_ok());
}

#[test]
fn passwords_are_hidden_wherever_they_stand() {
    assert_eq!(hide_password("postgres://me@db/v"), "postgres://me@db/v");
    assert_eq!(hide_password("postgres://me:a@b@db/v"), "postgres://me:…@db/v");
    assert_eq!(
        hide_password("postgres://db/v?user=me&password=hush"),
        "postgres://db/v?user=me&password=…"
    );
    assert_eq!(hide_password(""), "");
}

#[test]
fn the_reference_page_lists_every_key() {
    let page = include_str!("../../../../docs/operations/configuration.md");
    for key in keys::KEYS {
        let row = format!("| `{}` | `{}` |", key.path, key.default);
        let row = row.replace("| `` |", "| |");
        let line = page.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("no row that starts with {row}"));
        assert!(line.contains(key.doc), "the row of `{}` says something else", key.path);
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, keys::KEYS.len(), "a key that does not exist has a row");
}

#[test]
fn how_long_decisions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let with = |text: &str| {
        write(dir.path().join("viaduct.toml"), &format!("[decisions]\nkeep_rows = \"{text}\"\n"));
        config(&inputs(dir.path())).map(|config| config.decision_retention)
    };
    assert_eq!(with("P400D").unwrap().rows, Some(viaduct_base::Span::days(400)));
    assert_eq!(with("").unwrap(), Default::default());
    for bad in ["P0D", "-P1D", "400"] {
        let error = with(bad).unwrap_err().to_string();
        assert!(error.contains("`decisions.keep_rows`") && error.contains("P400D"), "{error}");
    }
}
