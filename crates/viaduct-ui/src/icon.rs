//! Line icons, 16 by 16, in the colour of the text around them.

use crate::svg::Markup;

/// The icon with this name; an unknown name draws nothing, and a test keeps templates honest.
pub(crate) fn icon(name: &str) -> Markup {
    let mut m = Markup::default();
    m.raw("<svg class=\"icon\" width=\"16\" height=\"16\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">");
    m.raw(path(name)).raw("</svg>");
    m
}

/// The shapes of an icon.
pub(crate) fn path(name: &str) -> &'static str {
    match name {
        "pass" => "<circle cx=\"8\" cy=\"8\" r=\"6.25\"/><path d=\"M5.2 8.2l2 2 3.6-4.2\"/>",
        "fail" => {
            "<circle cx=\"8\" cy=\"8\" r=\"6.25\"/><path d=\"M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4\"/>"
        }
        "wait" => {
            "<circle cx=\"8\" cy=\"8\" r=\"6.25\" stroke-dasharray=\"2.4 2.2\"/><path d=\"M6.4 6.3c.2-1 .9-1.5 1.7-1.5 1 0 1.7.6 1.7 1.5 0 1.2-1.7 1.3-1.7 2.5M8.1 11.1v.1\"/>"
        }
        "stale" => "<circle cx=\"8\" cy=\"8\" r=\"6.25\"/><path d=\"M8 4.6V8l2.4 1.6\"/>",
        "none" => "<circle cx=\"8\" cy=\"8\" r=\"6.25\"/><path d=\"M5.4 8h5.2\"/>",
        "waived" => {
            "<path d=\"M8 1.8l5 1.9v3.6c0 3.2-2 5.6-5 6.9-3-1.3-5-3.7-5-6.9V3.7z\"/><path d=\"M5.8 8h4.4\"/>"
        }
        "copy" => {
            "<rect x=\"5.5\" y=\"5.5\" width=\"8\" height=\"8\" rx=\"1.5\"/><path d=\"M10.5 3.5v-.3c0-.7-.5-1.2-1.2-1.2H3.7C3 2 2.5 2.5 2.5 3.2v5.6c0 .7.5 1.2 1.2 1.2H4\"/>"
        }
        "search" => "<circle cx=\"7\" cy=\"7\" r=\"4.5\"/><path d=\"M10.4 10.4L14 14\"/>",
        "theme" => {
            "<circle cx=\"8\" cy=\"8\" r=\"6\"/><path d=\"M8 2a6 6 0 0 1 0 12z\" class=\"solid\"/>"
        }
        "clock" => "<circle cx=\"8\" cy=\"8\" r=\"6.25\"/><path d=\"M8 4.4V8l2.6 1.7\"/>",
        "user" => {
            "<circle cx=\"8\" cy=\"5.4\" r=\"2.9\"/><path d=\"M2.8 13.8c.5-2.8 2.5-4.3 5.2-4.3s4.7 1.5 5.2 4.3\"/>"
        }
        "sign" => "<path d=\"M2.5 13.5h11M3.5 10.8l7-7 1.9 1.9-7 7-2.4.5z\"/>",
        "arrow" => "<path d=\"M3 8h9.5M9 4.4L12.6 8 9 11.6\"/>",
        "down" => "<path d=\"M4.5 6.5L8 10l3.5-3.5\"/>",
        "lock" => {
            "<rect x=\"3.5\" y=\"7\" width=\"9\" height=\"6.5\" rx=\"1.4\"/><path d=\"M5.5 7V5a2.5 2.5 0 0 1 5 0v2\"/>"
        }
        "open" => {
            "<rect x=\"3.5\" y=\"7\" width=\"9\" height=\"6.5\" rx=\"1.4\"/><path d=\"M5.5 7V4.8a2.5 2.5 0 0 1 4.9-.7\"/>"
        }
        "wrench" => {
            "<path d=\"M13.6 4.2l-2.3 2.3-1.8-1.8 2.3-2.3a3.6 3.6 0 0 0-4.6 4.6l-4.9 4.9 1.8 1.8L9 8.8a3.6 3.6 0 0 0 4.6-4.6z\"/>"
        }
        "download" => "<path d=\"M8 2.5v7.2M4.9 6.8L8 9.9l3.1-3.1M2.8 13.2h10.4\"/>",
        "print" => "<path d=\"M4.5 6V2.5h7V6M4.5 11.5h-2v-5h11v5h-2M4.5 9.5h7v4h-7z\"/>",
        "key" => {
            "<circle cx=\"5.2\" cy=\"10.8\" r=\"2.7\"/><path d=\"M7.2 8.8l6-6M10.6 5.4l1.9 1.9\"/>"
        }
        "keyboard" => {
            "<rect x=\"1.8\" y=\"4\" width=\"12.4\" height=\"8\" rx=\"1.4\"/><path d=\"M4.2 6.6h.1M6.8 6.6h.1M9.3 6.6h.1M11.8 6.6h.1M5.2 9.5h5.6\"/>"
        }
        "refresh" => "<path d=\"M13 8a5 5 0 1 1-1.5-3.6M13.2 2.2v2.6h-2.6\"/>",
        "mark" => "<path d=\"M1 5h14M1 5v8M15 5v8M1 13c0-6 6-6 6 0M9 13c0-6 6-6 6 0M8 5v8\"/>",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_a_template_names_exists() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut named = 0;
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let file = entry.unwrap().path();
                if file.is_dir() {
                    folders.push(file);
                    continue;
                }
                let text = std::fs::read_to_string(&file).unwrap();
                for part in text.split("icon(\"").skip(1) {
                    let name = part.split('"').next().unwrap();
                    assert!(!path(name).is_empty(), "{}: `{name}`", file.display());
                    named += 1;
                }
            }
        }
        assert!(named > 5);
    }
}
