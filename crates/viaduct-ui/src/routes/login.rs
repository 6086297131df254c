//! Signing in and out.

use std::sync::Arc;

use axum::http::StatusCode;
use viaduct_base::{Error, Kind, Secret};

use super::answer::Answer;
use super::visit::Visit;
use super::{Answered, cookie};
use crate::path;
use crate::view::LoginPage;

/// Longer addresses are nobody's.
const NEXT_MAX: usize = 2_000;

/// An address on this server, or the portfolio: whatever a link says, a login leads nowhere else.
fn safe_next(text: &str) -> &str {
    let bytes = text.as_bytes();
    let stays = bytes.first() == Some(&b'/')
        // `//host` and, for browsers, `/\host` name another server.
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && text.len() <= NEXT_MAX
        && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'\\');
    if stays { text } else { path::HOME }
}

fn page(visit: &Visit, name: &str, problem: Option<String>) -> LoginPage {
    let next = if visit.form.is_empty() { visit.asked("next") } else { visit.field("next") };
    LoginPage {
        shell: visit.shell(),
        next: safe_next(next).to_owned(),
        name: name.to_owned(),
        problem,
    }
}

/// The form; who is signed in already goes on.
pub(super) async fn form(visit: Arc<Visit>) -> Answered {
    if visit.me().is_some() {
        return Ok(Answer::see(safe_next(visit.asked("next"))));
    }
    visit.page(&page(&visit, "", None))
}

/// Opens a session.
pub(super) async fn enter(visit: Arc<Visit>) -> Answered {
    let name = visit.field("name").to_owned();
    match visit.app.login(name.clone(), visit.password()).await {
        Ok(signed_in) => {
            let secret = signed_in.secret.expose();
            let session = cookie::session(secret, signed_in.lasts, visit.is_loopback());
            Ok(Answer::See {
                to: safe_next(visit.field("next")).to_owned(),
                flash: None,
                cookies: vec![session, cookie::forget(cookie::FORM)],
            })
        }
        Err(Error::Refused(refusal)) if refusal.kind == Kind::LoginRequired => {
            let problem = "The name or the password is wrong.".to_owned();
            visit.page_with(StatusCode::UNAUTHORIZED, &page(&visit, &name, Some(problem)))
        }
        Err(error) => Err(error),
    }
}

/// Ends the session.
pub(super) async fn leave(visit: Arc<Visit>) -> Answered {
    if let Some(secret) = visit.session.clone() {
        visit.app.logout(&Secret::new(secret)).await?;
    }
    let to = if visit.app.has_users() { path::LOGIN } else { path::HOME };
    let cookies = vec![cookie::forget(cookie::SESSION), cookie::forget(cookie::FORM)];
    Ok(Answer::See { to: to.to_owned(), flash: None, cookies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        for good in ["/", "/projects/a?x=1#gate", "/decisions/dec_0", "/a//b"] {
            assert_eq!(safe_next(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/ok\r\nSet-Cookie: a=b",
            "/\t/evil.example",
            "/a\\..\\b",
            "evil",
            " /x",
        ] {
            assert_eq!(safe_next(bad), "/", "{bad:?}");
        }
    }
}
