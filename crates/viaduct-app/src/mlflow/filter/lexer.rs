//! A filter's text in words, signs and quoted texts.

use viaduct_base::Error;

use crate::mlflow::invalid;

/// A piece of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it was written.
    pub(super) text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A field, a keyword, a number or a text in double quotes: its place tells which.
    Word,
    /// A text in single quotes.
    Text,
    /// `=`, `!=`, `<`, …
    Sign,
    Open,
    Close,
    Comma,
}

/// The filter's tokens in order.
pub(super) fn tokens(filter: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut tokens = Vec::new();
    let mut rest = filter.trim();
    // A statement may end as SQL ends one.
    rest = rest.strip_suffix(';').map_or(rest, str::trim_end);
    while let Some(c) = rest.chars().next() {
        let (kind, bytes) = match c {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            ';' => {
                return Err(invalid(format!(
                    "Search filter contained multiple expression '{}'. Provide AND-ed expression \
                     list.",
                    shown(filter)
                )));
            }
            '\'' => (Kind::Text, quoted(rest, c).ok_or_else(|| open_quote(rest))?),
            '=' | '!' | '<' | '>' => {
                let is_sign = |c: char| matches!(c, '=' | '!' | '<' | '>');
                (Kind::Sign, rest.find(|c| !is_sign(c)).unwrap_or(rest.len()))
            }
            _ => (Kind::Word, word(rest)?),
        };
        let (text, after) = rest.split_at(bytes);
        tokens.push(Token { kind, text });
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// The beginning of a text, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

fn open_quote(rest: &str) -> Error {
    invalid(format!(
        "Invalid clause(s) in filter string: '{}': a quote is not closed.",
        shown(rest)
    ))
}

/// Bytes of the quoted text at the beginning; a quote written twice stands for itself.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if c == quote && rest.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// Bytes of the word at the beginning; within quotes it may hold anything.
fn word(text: &str) -> Result<usize, Error> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '`' | '"' => at += quoted(&text[at..], c).ok_or_else(|| open_quote(text))?,
            c if c.is_whitespace() || "=!<>(),';".contains(c) => break,
            c => at += c.len_utf8(),
        }
    }
    Ok(at)
}

/// What a quoted text says.
pub(super) fn unquote(text: &str, quote: char) -> Option<String> {
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let twice: String = [quote, quote].iter().collect();
    Some(inner.replace(&twice, quote.encode_utf8(&mut [0; 4])))
}
