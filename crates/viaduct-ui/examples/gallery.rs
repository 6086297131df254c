//! Writes every page with sample values, and the assets, as static files to look at:
//! `cargo run -p viaduct-ui --example gallery -- OUTDIR`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::args().nth(1).ok_or("give the directory to write into")?);
    fs::create_dir_all(out.join("static"))?;
    for asset in viaduct_ui::assets::all() {
        fs::write(out.join("static").join(&asset.file), asset.bytes)?;
    }
    let samples = viaduct_ui::sample::all()?;
    let mut index = String::from("<!doctype html><title>Gallery</title><ul>");
    for sample in &samples {
        // Why: opened from a file, the pages' absolute addresses lead nowhere.
        let page = sample.html.replace("\"/static/", "\"static/");
        for (theme, ending) in [("light", ""), ("dark", "-dark")] {
            let themed = page
                .replace("<html lang=\"en\"", &format!("<html lang=\"en\" data-theme=\"{theme}\""));
            let file = format!("{}{ending}.html", sample.name);
            index.push_str(&format!("<li><a href=\"{file}\">{file}</a>"));
            fs::write(out.join(file), themed)?;
        }
    }
    fs::write(out.join("index.html"), index)?;
    println!("{} pages in {}", samples.len(), out.display());
    Ok(())
}
