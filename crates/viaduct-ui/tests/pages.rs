//! Every page is rendered with its sample values and read back by a real HTML parser.

#![expect(clippy::expect_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use std::collections::BTreeSet;

use scraper::{Html, Selector};
use viaduct_ui::sample::{self, Sample};

fn all() -> Vec<Sample> {
    sample::all().expect("every sample renders")
}

fn select<'a>(page: &'a Html, css: &str) -> Vec<scraper::ElementRef<'a>> {
    let selector = Selector::parse(css).expect("a selector");
    page.select(&selector).collect()
}

#[test]
fn every_page_is_whole() {
    for sample in all() {
        let name = sample.name;
        let page = Html::parse_document(&sample.html);
        assert!(page.errors.is_empty(), "{name}: {:?}", page.errors);
        assert!(!sample.html.contains("{{") && !sample.html.contains("{%"), "{name}");
        assert!(!sample.html.contains("NaN"), "{name}");
        assert_eq!(select(&page, "html[lang=en]").len(), 1, "{name}");
        assert_eq!(select(&page, "main#main").len(), 1, "{name}");
        assert_eq!(select(&page, "h1").len(), 1, "{name}");
        let title: String = select(&page, "head > title")[0].text().collect();
        assert!(title.ends_with(" · Viaduct"), "{name}: {title}");
        assert_eq!(select(&page, "a.skip[href=\"#main\"]").len(), 1, "{name}");
    }
}

#[test]
fn the_fragment_is_the_main_part() {
    for sample in all() {
        assert!(sample.html.contains(sample.main.trim()), "{}", sample.name);
        assert!(!sample.main.contains("<main"), "{}", sample.name);
        let fragment = Html::parse_fragment(&sample.main);
        assert!(fragment.errors.is_empty(), "{}: {:?}", sample.name, fragment.errors);
    }
}

#[test]
fn nothing_breaks_the_content_security_policy() {
    for sample in all() {
        let page = Html::parse_document(&sample.html);
        let name = sample.name;
        assert!(select(&page, "[style], style").is_empty(), "{name}");
        for script in select(&page, "script") {
            let source = script.value().attr("src").unwrap_or_default();
            assert!(source.starts_with("/static/"), "{name}: inline script");
        }
        for element in select(&page, "*") {
            for (attribute, value) in element.value().attrs() {
                assert!(!attribute.starts_with("on"), "{name}: {attribute}");
                let address = matches!(attribute, "href" | "src" | "action");
                let own = value.starts_with('/') && !value.starts_with("//");
                assert!(!address || own || value.starts_with('#'), "{name}: {attribute}={value}");
            }
        }
    }
}

#[test]
fn text_from_outside_is_escaped() {
    let samples = all();
    let decision = samples.iter().find(|s| s.name == "decision").unwrap();
    assert!(!decision.html.contains("<script>alert"));
    assert!(decision.html.contains("&#60;script&#62;alert"), "an input is shown as text");
    let search = samples.iter().find(|s| s.name == "portfolio-none").unwrap();
    assert!(!search.html.contains("<churn"));
}

#[test]
fn no_template_prints_raw() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            assert!(!squeezed.contains("|safe"), "{}", file.display());
        }
    }
}

#[test]
fn forms_carry_the_secret_and_fields_have_names() {
    for sample in all() {
        let page = Html::parse_document(&sample.html);
        let name = sample.name;
        for form in select(&page, "form[method=post]") {
            let html = form.html();
            assert!(html.contains("name=\"csrf\""), "{name}: {html}");
        }
        let labels: BTreeSet<_> =
            select(&page, "label").iter().filter_map(|l| l.value().attr("for")).collect();
        for field in select(&page, "input:not([type=hidden]), select, textarea") {
            let labelled = field.value().attr("aria-label").is_some()
                || field.value().attr("id").is_some_and(|id| labels.contains(id));
            assert!(labelled, "{name}: {}", field.html());
        }
        for button in select(&page, "button") {
            let words: String = button.text().collect();
            let named = !words.trim().is_empty() || button.value().attr("aria-label").is_some();
            assert!(named, "{name}: {}", button.html());
        }
    }
}

#[test]
fn ids_are_unique_and_links_inside_a_page_lead_somewhere() {
    for sample in all() {
        let page = Html::parse_document(&sample.html);
        let ids: Vec<_> =
            select(&page, "[id]").iter().filter_map(|e| e.value().attr("id")).collect();
        let unique: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{}: {ids:?}", sample.name);
        for link in select(&page, "a[href^='#']") {
            let target = link.value().attr("href").unwrap_or_default().trim_start_matches('#');
            assert!(unique.contains(target), "{}: #{target}", sample.name);
        }
        for element in select(&page, "[aria-labelledby]") {
            let target = element.value().attr("aria-labelledby").unwrap_or_default();
            assert!(unique.contains(target), "{}: {target}", sample.name);
        }
    }
}

#[test]
fn a_sealed_trial_shows_no_number_of_its_effect() {
    let samples = all();
    let page = samples.iter().find(|s| s.name == "project-trial").unwrap();
    assert!(page.main.contains("No look before the registered end"));
    assert!(!page.main.contains("effect-dot") && !page.main.contains("verdict-value"));
}

#[test]
fn every_status_has_words_and_a_shape() {
    use viaduct_ui::view::Status;
    let mut shapes = BTreeSet::new();
    for status in Status::ALL {
        let chip = status.chip();
        assert!(chip.as_str().contains(status.label()), "{chip}");
        let shape = chip.as_str().split("aria-hidden").nth(1).unwrap_or_default();
        let shape = shape.split("</svg>").next().unwrap_or_default().to_owned();
        assert!(shapes.insert(shape), "two statuses share the icon of {}", status.label());
    }
}
