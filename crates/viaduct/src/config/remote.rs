//! Versions that other servers answer.

use viaduct_app::RemoteModel;

use super::ConfigError;
use super::check::Reader;

const KEY: &str = "remote.models";
const WANTED: &str = "`MODEL/VERSION=http://HOST:PORT/v2/models/NAME`";

pub(super) fn read(reader: &Reader<'_>) -> Result<Vec<RemoteModel>, ConfigError> {
    let read = |item: String| parse(&item).ok_or_else(|| reader.invalid(KEY, WANTED));
    reader.list(KEY).into_iter().map(read).collect()
}

fn parse(item: &str) -> Option<RemoteModel> {
    let (ours, theirs) = item.split_once('=')?;
    // Why from the end: a model's name may hold a slash, a version never does.
    let (name, version) = ours.trim().rsplit_once('/')?;
    let (host, model) = theirs.trim().strip_prefix("http://")?.split_once("/v2/models/")?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let fits = |text: &str, fits: fn(char) -> bool| !text.is_empty() && text.chars().all(fits);
    if name.is_empty() || !fits(host, is_host) || !fits(model, is_name) {
        return None;
    }
    Some(RemoteModel {
        name: name.to_owned(),
        version: version.parse().ok().filter(|version| *version > 0)?,
        url: format!("http://{host}"),
        model: model.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_names_a_version_and_who_answers_it() {
        let read = parse(" team/odd/3 = http://10.0.0.7:8080/v2/models/odd ").unwrap();
        assert_eq!((read.name.as_str(), read.version), ("team/odd", 3));
        assert_eq!((read.url.as_str(), read.model.as_str()), ("http://10.0.0.7:8080", "odd"));
        for bad in [
            "odd=http://x/v2/models/y",
            "odd/0=http://x/v2/models/y",
            "odd/one=http://x/v2/models/y",
            "/1=http://x/v2/models/y",
            "odd/1=https://x/v2/models/y",
            "odd/1=http://u@x/v2/models/y",
            "odd/1=http:///v2/models/y",
            "odd/1=http://x/v2/models/y/infer",
            "odd/1=http://x/v2/models/",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
