//! Styles, script and icon, compiled into the binary under names that carry their content's hash.

use std::sync::LazyLock;

use viaduct_base::Digest;

/// What every HTML answer says in `content-security-policy`.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every asset answer says in `cache-control`: a changed file has another name.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// The name with the content's hash, as it stands behind `/static/`.
    pub file: String,
    /// The bytes.
    pub bytes: &'static [u8],
    /// The `content-type`.
    pub content_type: &'static str,
}

struct Table {
    style: Asset,
    script: Asset,
    api_script: Asset,
    icon: Asset,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    style: asset("app", "css", include_bytes!("../assets/app.css"), "text/css; charset=utf-8"),
    script: asset("app", "js", include_bytes!("../assets/app.js"), JAVASCRIPT),
    api_script: asset("api", "js", include_bytes!("../assets/api.js"), JAVASCRIPT),
    icon: asset("icon", "svg", include_bytes!("../assets/icon.svg"), "image/svg+xml"),
});

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

fn asset(stem: &str, ending: &str, bytes: &'static [u8], content_type: &'static str) -> Asset {
    let hash = Digest::of(bytes);
    Asset { file: format!("{stem}.{}.{ending}", hash.short()), bytes, content_type }
}

/// Every embedded file.
pub fn all() -> [&'static Asset; 4] {
    [&TABLE.style, &TABLE.script, &TABLE.api_script, &TABLE.icon]
}

/// The file with this name (what stands behind `/static/`); answer it with [`IMMUTABLE`].
pub fn find(file: &str) -> Option<&'static Asset> {
    all().into_iter().find(|asset| asset.file == file)
}

/// The style sheet's address.
pub(crate) fn style() -> String {
    crate::path::asset(&TABLE.style.file)
}

/// The script's address.
pub(crate) fn script() -> String {
    crate::path::asset(&TABLE.script.file)
}

/// The API browser's script's address.
pub(crate) fn api_script() -> String {
    crate::path::asset(&TABLE.api_script.file)
}

/// The icon's address.
pub(crate) fn icon() -> String {
    crate::path::asset(&TABLE.icon.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_hash() {
        for asset in all() {
            assert!(asset.file.contains(Digest::of(asset.bytes).short()), "{}", asset.file);
            assert_eq!(find(&asset.file).map(|a| a.bytes.len()), Some(asset.bytes.len()));
        }
        assert!(find("app.css").is_none());
        assert!(find("../Cargo.toml").is_none());
    }

    #[test]
    fn nothing_external_and_no_long_script() {
        for asset in all() {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for foreign in ["http://", "https://", "@import", "eval(", "innerHTML"] {
                let text = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(foreign), "{}: {foreign}", asset.file);
            }
        }
        let script = std::str::from_utf8(TABLE.script.bytes).unwrap();
        assert!(script.lines().count() < 300);
    }
}
