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
