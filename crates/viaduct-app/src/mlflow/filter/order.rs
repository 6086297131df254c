//! What is found first: a field, then `ASC` or `DESC` or nothing.

use viaduct_base::Error;
use viaduct_store::mlflow::search::{Field, Order};

use super::fields::{Subject, Use};
use super::lexer::shown;
use crate::mlflow::invalid;

/// More steps than that order nothing further.
const STEPS_MAX: usize = 20;

/// Reads one step of an order.
pub(in crate::mlflow) fn parse_order(text: &str, subject: Subject) -> Result<Order, Error> {
    let unread =
        || invalid(format!("Invalid order_by clause '{}'. Could not be parsed.", shown(text)));
    let words = words(text.trim()).ok_or_else(unread)?;
    let (field, descending) = match words.as_slice() {
        [field] => (*field, false),
        [field, word] if word.eq_ignore_ascii_case("asc") => (*field, false),
        [field, word] if word.eq_ignore_ascii_case("desc") => (*field, true),
        [_, _] => {
            return Err(invalid(format!(
                "Invalid ordering key in order_by clause '{}'.",
                shown(text)
            )));
        }
        _ => return Err(unread()),
    };
    if field.starts_with(|c: char| "=!<>(),';".contains(c)) || field.eq_ignore_ascii_case("desc") {
        return Err(unread());
    }
    let named = subject.field(field, Use::Order)?;
    let is_known = match named.field {
        Field::Metric(_) => matches!(subject, Subject::Runs | Subject::LoggedModels),
        Field::Param(_) | Field::Tag(_) => subject == Subject::Runs,
        Field::Dataset(_) => false,
        _ => true,
    };
    if !is_known {
        return Err(invalid(format!("Invalid order_by entity: {}", named.entity.word())));
    }
    Ok(Order::by(named.field, descending))
}

/// Words divided by spaces, except within quotes. `None` when a quote stays open.
fn words(text: &str) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    let (mut start, mut quote) = (None, None);
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '`' | '"') => {
                quote = Some(c);
                start.get_or_insert(at);
            }
            None if c.is_whitespace() => words.extend(start.take().and_then(|s| text.get(s..at))),
            None => {
                start.get_or_insert(at);
            }
        }
    }
    words.extend(start.and_then(|s| text.get(s..)));
    quote.is_none().then_some(words)
}

/// Reads all steps of an order.
pub(in crate::mlflow) fn parse_orders(
    texts: &[String],
    subject: Subject,
) -> Result<Vec<Order>, Error> {
    if texts.len() > STEPS_MAX {
        return Err(invalid(format!("`order_by` can have at most {STEPS_MAX} fields.")));
    }
    let mut orders: Vec<Order> = Vec::with_capacity(texts.len());
    for text in texts.iter().filter(|text| !text.trim().is_empty() || subject == Subject::Runs) {
        let order = parse_order(text, subject)?;
        if orders.iter().any(|known| known.field == order.field) {
            return Err(invalid(format!("`order_by` contains duplicate fields: {texts:?}")));
        }
        orders.push(order);
    }
    Ok(orders)
}
