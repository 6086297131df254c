use super::*;
use viaduct_base::FieldError;

pub(crate) const TERM_DEPOSIT: &str = include_str!("term_deposit.yaml");

pub(crate) fn term_deposit() -> ProjectSpec {
    parse(TERM_DEPOSIT).unwrap()
}

fn errors(text: &str) -> Vec<FieldError> {
    parse(text).unwrap_err().errors
}

#[test]
fn whole() {
    let spec = term_deposit();
    println!("{}", serde_json::to_string_pretty(&spec).unwrap());
}

#[test]
fn show() {
    for (from, to) in [
        ("  title:", "  titel:"),
        ("EUR, kind: cash", "EUR, kind: csh"),
        ("maturity: P21D", "maturity: 21 days"),
        ("required: true", "requried: true"),
        ("  costs: {", "  costs: {a: [1"),
        ("  title: Term", "  title: a\n  title: Term"),
    ] {
        println!("{:#?}", errors(&TERM_DEPOSIT.replacen(from, to, 1)));
    }
}
