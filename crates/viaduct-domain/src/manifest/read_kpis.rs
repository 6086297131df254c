//! Reads `spec.kpis`.

use serde_json::Value;
use viaduct_base::Span;

use super::read::{currency, span, whole};
use super::reader::{Reader, Section};
use crate::kpi::{Baseline, BenefitKind, Direction, KpiSpec, KpiType, NotActed, Source, UnitValue};

pub(super) fn kpis<'a>(reader: &mut Reader<'a>, spec: &Section<'a>) -> Vec<KpiSpec> {
    let items = reader.items(spec, "kpis");
    if items.is_empty() {
        reader.lacks(
            spec,
            "kpis",
            "at least the primary KPI, which decides whether the project pays",
        );
    }
    let only_one = items.len() == 1;
    let mut kpis: Vec<KpiSpec> = Vec::new();
    for (item, at) in items {
        let Some(kpi) = kpi(reader, item, &at, only_one) else { continue };
        if kpis.iter().any(|known| known.name == kpi.name) {
            reader.say(&format!("{at}/name"), format!("the KPI `{}` comes twice", kpi.name));
        }
        let other = kpis.iter().find(|known| known.primary && kpi.primary);
        if let Some(other) = other {
            reader.say(
                &format!("{at}/primary"),
                format!("`{}` and `{}` are both primary: exactly one KPI is", other.name, kpi.name),
            );
        }
        kpis.push(kpi);
    }
    if reader.is_clean() && !kpis.iter().any(|kpi| kpi.primary) {
        reader.say(&spec.pointer("kpis"), "no KPI is primary: mark one with `primary: true`");
    }
    kpis
}

fn kpi<'a>(reader: &mut Reader<'a>, item: &'a Value, at: &str, only_one: bool) -> Option<KpiSpec> {
    let keys = [
        "name",
        "primary",
        "unit",
        "type",
        "direction",
        "source",
        "value_if_not_acted",
        "maturity",
        "unit_value",
        "baseline",
    ];
    let kinds = [("mean", KpiType::Mean), ("proportion", KpiType::Proportion)];
    let directions = [("increase", Direction::Increase), ("decrease", Direction::Decrease)];
    let sources = [("decisions", Source::Decisions), ("csv", Source::Csv)];
    let section = reader.section(item, at, "a KPI", &keys)?;
    let s = &section;
    let name = reader.needed(s, "name", "the KPI's name", |r| r.parsed(s, "name"));
    let primary = match s.get("primary") {
        None => Some(only_one),
        Some(Value::Bool(flag)) => Some(*flag),
        Some(_) => {
            reader.say(&s.pointer("primary"), "`primary` must be `true` or `false`");
            None
        }
    };
    let unit = reader.needed_text(s, "unit", "what it is measured in, such as `EUR`");
    let kind = reader.needed(s, "type", "`mean` or `proportion`", |r| r.word(s, "type", &kinds));
    let direction = reader.needed(s, "direction", "`increase` or `decrease`", |r| {
        r.word(s, "direction", &directions)
    });
    let source = match s.get("source") {
        None => Some(Source::Decisions),
        Some(_) => reader.word(s, "source", &sources),
    };
    let reads_decisions = source == Some(Source::Decisions);
    let value_if_not_acted = not_acted(reader, s, reads_decisions);
    let maturity = if reads_decisions {
        let hint = "how old a decision must be before its outcome counts, such as `P21D`";
        reader.needed(s, "maturity", hint, |r| span(r, s, "maturity", Span::ZERO))
    } else {
        Some(span(reader, s, "maturity", Span::ZERO).unwrap_or(Span::ZERO))
    };
    let (unit_value, baseline) = (unit_value(reader, s), baseline(reader, s));
    Some(KpiSpec {
        name: name?,
        primary: primary?,
        unit: unit?,
        kind: kind?,
        direction: direction?,
        source: source?,
        value_if_not_acted,
        maturity: maturity?,
        unit_value,
        baseline,
    })
}

fn not_acted<'a>(reader: &mut Reader<'a>, kpi: &Section<'a>, is_needed: bool) -> Option<NotActed> {
    let key = "value_if_not_acted";
    match kpi.get(key) {
        None if is_needed => {
            reader.lacks(
                kpi,
                key,
                "what a case is worth when the action is not done: an amount such as `0`, or \
                 `observed`",
            );
            None
        }
        None => None,
        Some(Value::String(word)) if word == "observed" => Some(NotActed::Observed),
        Some(value) => match value.as_f64() {
            Some(amount) => Some(NotActed::Amount(amount)),
            None => {
                reader.say(&kpi.pointer(key), format!("`{key}` must be a number or `observed`"));
                None
            }
        },
    }
}

fn unit_value<'a>(reader: &mut Reader<'a>, kpi: &Section<'a>) -> Option<UnitValue> {
    let kinds = [
        ("cash", BenefitKind::Cash),
        ("capacity", BenefitKind::Capacity),
        ("revenue", BenefitKind::Revenue),
        ("risk", BenefitKind::Risk),
    ];
    let at = reader.child(kpi, "unit_value", &["low", "base", "high", "currency", "kind"])?;
    let mut corner = |key: &str| {
        reader
            .needed(&at, key, "a number from finance", |r| r.number(&at, key, "a number", |_| true))
    };
    let (low, base, high) = (corner("low"), corner("base"), corner("high"));
    let currency = currency(reader, &at);
    let kind = reader.needed(&at, "kind", "`cash`, `capacity`, `revenue` or `risk`", |reader| {
        reader.word(&at, "kind", &kinds)
    });
    let (low, base, high) = (low?, base?, high?);
    if !(low <= base && base <= high) {
        reader.say(
            &at.at,
            format!(
                "`unit_value` runs from `low` over `base` to `high`; {low}, {base}, {high} do \
             not rise"
            ),
        );
    }
    Some(UnitValue { low, base, high, currency: currency?, kind: kind? })
}

fn baseline<'a>(reader: &mut Reader<'a>, kpi: &Section<'a>) -> Option<Baseline> {
    let at = reader.child(kpi, "baseline", &["file", "weeks"])?;
    let file = reader.text(&at, "file");
    let weeks = match at.get("weeks") {
        // Why 26: the preferred length of a baseline in the shipped policy (A2).
        None => 26.0,
        Some(_) => whole(reader, &at, "weeks", 1.0)?,
    };
    Some(Baseline { file, weeks: weeks as u32 })
}
