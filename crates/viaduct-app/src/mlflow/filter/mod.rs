//! MLflow's filter and order strings: a lexer, a parser, a typed filter. The store compiles that.

mod fields;
mod lexer;
mod order;
mod parser;
#[cfg(test)]
mod tests;

pub(super) use fields::Subject;
pub(super) use order::{parse_order, parse_orders};
pub(super) use parser::parse;

use viaduct_store::mlflow::search::{Comparator, Comparison, Field, Filter, Operand, Test};

/// The tag by which an entry of the registry is a prompt and no model.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// Takes what a filter says of the prompt tag out of it, and tells whether it is after prompts.
/// Clients say `!= 'true'` where they mean models, and models do not have the tag.
pub(super) fn take_prompts(filter: Filter) -> (Filter, bool) {
    let mut prompts = None;
    let rest = take(filter, &mut prompts);
    (rest, prompts.unwrap_or(false))
}

fn take(filter: Filter, prompts: &mut Option<bool>) -> Filter {
    match filter {
        Filter::One(Comparison { field: Field::Tag(key), test }) if key == PROMPT_TAG => {
            prompts.get_or_insert(match &test {
                Test::Is(Comparator::Equal, Operand::Text(text)) => {
                    text.eq_ignore_ascii_case("true")
                }
                Test::Is(Comparator::NotEqual, Operand::Text(text)) => {
                    text.eq_ignore_ascii_case("false")
                }
                Test::Present => true,
                _ => false,
            });
            Filter::default()
        }
        Filter::All(all) => Filter::All(all.into_iter().map(|part| take(part, prompts)).collect()),
        Filter::Any(any) => Filter::Any(any.into_iter().map(|part| take(part, prompts)).collect()),
        one => one,
    }
}
