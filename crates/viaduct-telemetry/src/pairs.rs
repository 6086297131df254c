//! `name=value,name=value`, as the standard variables have it.

/// Reads pairs; `%20` and the like stand for what is not allowed. The error names no part but its
/// place: a value may be a secret.
///
/// # Errors
/// The number, from 1, of the first part that is no pair.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, usize> {
    let parts = text.split(',').map(str::trim).enumerate();
    parts
        .filter(|(_, part)| !part.is_empty())
        .map(|(place, part)| {
            let pair = part.split_once('=');
            let pair = pair
                .and_then(|(name, value)| Some((unescape(name.trim())?, unescape(value.trim())?)));
            pair.filter(|(name, _)| !name.is_empty()).ok_or(place + 1)
        })
        .collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let [first, rest @ ..] = left {
        let digits = rest.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        left = if byte.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_what_is_none() {
        let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = pairs("authorization=Basic%20eDp5, team = a=b ,,x=50%").unwrap();
        let wanted =
            [owned("authorization", "Basic eDp5"), owned("team", "a=b"), owned("x", "50%")];
        assert_eq!(read, wanted);
        assert_eq!(pairs("a=1,secret"), Err(2));
        assert_eq!(pairs("=x"), Err(1));
        assert_eq!(pairs("a=%ff"), Err(1));
        assert!(pairs("").unwrap().is_empty());
    }
}
