//! A refusal as the server sent it, printed like a compiler prints an error.

use serde::Deserialize;

use crate::printer::Paint;

/// RFC 9457, with our `errors`.
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    /// An address whose last segment is the slug.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// One line, the same for every problem of the kind.
    #[serde(default)]
    pub title: String,
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What happened here and how to mend it.
    #[serde(default)]
    pub detail: String,
    /// Places in the input.
    #[serde(default)]
    pub errors: Vec<Place>,
    /// The file that was sent, when it came from a file.
    #[serde(skip)]
    pub source: Option<Source>,
}

/// One bad place.
#[derive(Debug, Clone, Deserialize)]
pub struct Place {
    /// JSON pointer or path.
    #[serde(default)]
    pub pointer: String,
    /// What is wrong there.
    #[serde(default)]
    pub detail: String,
    /// 1-based.
    #[serde(default)]
    pub line: Option<usize>,
    /// 1-based.
    #[serde(default)]
    pub column: Option<usize>,
}

/// A file's name and text.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the person named it.
    pub name: String,
    /// As the person wrote it.
    pub text: String,
}

impl Problem {
    /// A problem from an answer's body; whatever the body is, the status counts.
    pub(crate) fn from_body(status: u16, body: &str) -> Self {
        let parsed: Option<Problem> = serde_json::from_str(body).ok();
        let mut problem = parsed.unwrap_or_else(|| Problem {
            kind: String::new(),
            title: String::new(),
            status,
            detail: short_text(body),
            errors: Vec::new(),
            source: None,
        });
        problem.status = status;
        if problem.detail.is_empty() {
            problem.detail = if problem.title.is_empty() {
                format!("the server answered {status} without a reason")
            } else {
                problem.title.clone()
            };
        }
        problem
    }

    /// The last segment of the type's address.
    pub(crate) fn slug(&self) -> &str {
        let tail = self.kind.rsplit('/').next().unwrap_or("");
        tail.strip_suffix(".md").unwrap_or(tail)
    }

    /// The whole text, without a final line break.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let slug = self.slug();
        let head = if slug.is_empty() { "error".to_owned() } else { format!("error[{slug}]") };
        let mut lines = vec![format!("{}: {}", paint.red(&head), paint.bold(&self.detail))];
        for place in &self.errors {
            lines.extend(self.render_place(place, paint));
        }
        if self.status == 401 {
            lines.push(String::new());
            lines.push(
                "hint: set VIADUCT_TOKEN; `viaduct token create NAME --user YOU --password-stdin` makes one"
                    .to_owned(),
            );
        } else if !slug.is_empty() && slug != "blank" {
            lines.push(String::new());
            lines.push(format!("hint: docs/problems/{slug}.md explains it"));
        }
        lines.join("\n")
    }

    fn render_place(&self, place: &Place, paint: Paint) -> Vec<String> {
        let line_text = place.line.and_then(|line| {
            let text = &self.source.as_ref()?.text;
            text.lines().nth(line.checked_sub(1)?)
        });
        let name = self.source.as_ref().map_or("input", |source| source.name.as_str());
        let (Some(line), Some(text)) = (place.line, line_text) else {
            let at = if place.pointer.is_empty() {
                String::new()
            } else {
                format!("{}: ", paint.bold(&place.pointer))
            };
            return vec![format!("  {} {at}{}", paint.blue("-"), place.detail)];
        };
        let column = place.column.unwrap_or(1).max(1);
        let gutter = " ".repeat(line.to_string().len());
        let bar = paint.blue("|");
        let before: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marks = "^".repeat(word_length(text, column));
        vec![
            format!("{gutter}{} {name}:{line}:{column}", paint.blue("-->")),
            format!("{gutter} {bar}"),
            format!("{} {bar} {text}", paint.blue(&line.to_string())),
            format!("{gutter} {bar} {before}{} {}", paint.red(&marks), place.detail),
        ]
    }
}

/// How many characters the word at `column` has; at least one.
fn word_length(text: &str, column: usize) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '}' | ']');
    text.chars().skip(column - 1).take_while(|c| !ends(*c)).count().max(1)
}

fn short_text(body: &str) -> String {
    let line = body.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        let body = r#"{"type":"https://viaduct.example/problems/invalid-manifest","title":"t",
            "detail":"the project file has 2 mistakes","errors":[
            {"pointer":"/spec/titel","detail":"there is no key `titel`: did you mean `title`?","line":2,"column":3},
            {"pointer":"/spec","detail":"`charter` is missing"}]}"#;
        let mut problem = Problem::from_body(400, body);
        problem.source = Some(Source { name: "v.yaml".into(), text: "spec:\n  titel: x\n".into() });
        problem
    }

    #[test]
    fn shows_the_line_and_a_caret() {
        let wanted = "\
error[invalid-manifest]: the project file has 2 mistakes
 --> v.yaml:2:3
  |
2 |   titel: x
  |   ^^^^^ there is no key `titel`: did you mean `title`?
  - /spec: `charter` is missing

hint: docs/problems/invalid-manifest.md explains it";
        assert_eq!(problem().render(Paint::Plain), wanted);
    }

    #[test]
    fn a_line_that_does_not_exist_still_shows_the_detail() {
        let mut problem = problem();
        problem.errors[0].line = Some(99);
        assert!(problem.render(Paint::Plain).contains("- /spec/titel: there is no key"));
    }

    #[test]
    fn a_body_that_is_no_problem_still_counts() {
        let problem = Problem::from_body(502, "<html>\nBad gateway");
        assert_eq!(problem.status, 502);
        assert_eq!(problem.render(Paint::Plain), "error: <html>");
        let empty = Problem::from_body(500, "");
        assert_eq!(empty.detail, "the server answered 500 without a reason");
    }
}
