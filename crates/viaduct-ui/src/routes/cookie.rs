//! Cookies: the session, the secret of forms before a login, and the message after a redirect.

use axum::http::{HeaderMap, header};
use viaduct_base::Span;

use crate::path;
use crate::view::{Flash, FlashLevel};

/// The session; `viaduct-api` reads it under the same name.
pub(super) const SESSION: &str = "viaduct_session";
/// Before a login, or while nobody needs one: what form secrets are derived from.
pub(super) const FORM: &str = "viaduct_form";
/// A message for the next page.
pub(super) const FLASH: &str = "viaduct_flash";

/// Longer messages are cut: browsers drop cookies over 4 KiB.
const FLASH_CHARS: usize = 600;

/// The value of a cookie on the request.
pub(super) fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// Whether a cookie may only travel encrypted: everywhere but on loopback.
fn secure(is_loopback: bool) -> &'static str {
    if is_loopback { "" } else { "; Secure" }
}

/// Sets the session. Why `Lax`: a link in a mail must find its reader signed in.
pub(super) fn session(secret: &str, lasts: Span, is_loopback: bool) -> String {
    let seconds = lasts.to_std().as_secs();
    let secure = secure(is_loopback);
    format!("{SESSION}={secret}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}")
}

/// Sets the cookie that form secrets are derived from.
pub(super) fn form(secret: &str, is_loopback: bool) -> String {
    format!("{FORM}={secret}; HttpOnly; SameSite=Strict; Path=/{}", secure(is_loopback))
}

/// Sets the message for the next page.
pub(super) fn flash(message: &Flash, is_loopback: bool) -> String {
    let mark = match message.level {
        FlashLevel::Done => 'd',
        FlashLevel::Problem => 'p',
        FlashLevel::Note => 'n',
    };
    let text: String = message.text.chars().take(FLASH_CHARS).collect();
    let (text, secure) = (path::segment(&text), secure(is_loopback));
    format!("{FLASH}={mark}{text}; HttpOnly; SameSite=Strict; Path=/; Max-Age=60{secure}")
}

/// Reads the message.
pub(super) fn read_flash(headers: &HeaderMap) -> Option<Flash> {
    let value = read(headers, FLASH)?;
    let level = match value.chars().next()? {
        'd' => FlashLevel::Done,
        'p' => FlashLevel::Problem,
        _ => FlashLevel::Note,
    };
    let text = decode(value.get(1..)?)?;
    Some(Flash { level, text })
}

/// Forgets a cookie.
pub(super) fn forget(name: &str) -> String {
    format!("{name}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

/// Undoes percent-encoding; `None` for what was never encoded here.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_request(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, format!("a=b; {pair}").parse().unwrap())])
    }

    #[test]
    fn a_message_travels_whole() {
        let text = "`é; a=b` 100 %\r\nSet-Cookie: x".to_owned();
        let sent = Flash { level: FlashLevel::Problem, text };
        let set = flash(&sent, true);
        assert!(!set.contains('\r') && !set.contains('\n'), "{set}");
        assert_eq!(read_flash(&on_request(&set)), Some(sent));
    }

    #[test]
    fn the_session_is_secure_away_from_loopback() {
        let set = session("s", Span::hours(12), false);
        assert_eq!(set, "viaduct_session=s; HttpOnly; SameSite=Lax; Path=/; Max-Age=43200; Secure");
        assert!(!session("s", Span::hours(12), true).contains("Secure"));
        assert_eq!(read(&on_request(&set), SESSION).as_deref(), Some("s"));
        assert_eq!(read(&on_request(&forget(SESSION)), SESSION), None);
    }
}
