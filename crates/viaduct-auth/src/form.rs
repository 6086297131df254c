//! Secrets of HTML forms: a page of another site can make a browser send a form, but not this.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::compare::same_bytes;
use crate::credential::random_text;

/// Keeps this hash apart from the one under which a session is stored.
const LABEL: &[u8] = b"viaduct form secret v1\0";

/// A secret for the time before a login: set as a cookie and put into the login form.
pub fn new_form_secret() -> String {
    random_text()
}

/// The secret that belongs into every form shown under `cookie` (a session, or the cookie of
/// [`new_form_secret`]). It is derived, so nothing needs to be stored.
pub fn form_secret(cookie: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(LABEL);
    hasher.update(cookie.as_bytes());
    URL_SAFE_NO_PAD.encode(hasher.finalize())
}

/// True when a form that came back with `cookie` carries its secret.
pub fn form_secret_fits(cookie: &str, sent: &str) -> bool {
    !cookie.is_empty() && same_bytes(form_secret(cookie).as_bytes(), sent.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cookie_of_the_form_fits() {
        let cookie = new_form_secret();
        let sent = form_secret(&cookie);
        assert!(form_secret_fits(&cookie, &sent));
        assert!(!form_secret_fits(&new_form_secret(), &sent));
        assert!(!form_secret_fits(&cookie, &cookie));
        assert!(!form_secret_fits(&cookie, ""));
        assert!(!form_secret_fits("", &form_secret("")));
    }
}
