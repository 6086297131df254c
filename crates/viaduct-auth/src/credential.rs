//! Random credentials: made once, shown once, kept as a SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use viaduct_base::{Digest, Secret};

/// 256 bits: nobody guesses it, so a plain SHA-256 is enough to keep it.
const SECRET_BYTES: usize = 32;
/// 32 bytes as unpadded base64url.
const SECRET_CHARS: usize = 43;

/// The kinds of random credential; the prefix lets a person (and a leak scanner) see which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A person's or a program's API token, sent as `Authorization: Bearer vdt_…`.
    Token,
    /// The key of a consumer that calls an endpoint.
    ConsumerKey,
    /// A browser session, in a cookie.
    Session,
}

/// A credential just made.
#[derive(Debug)]
pub struct Issued {
    /// What the holder gets, once.
    pub secret: Secret<String>,
    /// What is stored.
    pub hash: Digest,
}

impl Credential {
    /// What every secret of this kind starts with.
    pub fn prefix(self) -> &'static str {
        match self {
            Credential::Token => "vdt_",
            Credential::ConsumerKey => "vdk_",
            Credential::Session => "vds_",
        }
    }

    /// Makes a new secret of this kind.
    pub fn issue(self) -> Issued {
        let text = format!("{}{}", self.prefix(), random_text());
        let hash = Digest::of(text.as_bytes());
        Issued { secret: Secret::new(text), hash }
    }

    /// The stored form of what a caller sent; `None` when it does not have the form of this kind,
    /// so that no lookup is made for it.
    pub fn hash(self, sent: &str) -> Option<Digest> {
        let body = sent.strip_prefix(self.prefix())?;
        let fits = body.len() == SECRET_CHARS
            && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        fits.then(|| Digest::of(sent.as_bytes()))
    }
}

/// 256 random bits as text that is safe in a header, a cookie and a URL.
pub(crate) fn random_text() -> String {
    let mut bytes = [0_u8; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Credential; 3] = [Credential::Token, Credential::ConsumerKey, Credential::Session];

    #[test]
    fn what_was_issued_hashes_to_what_was_stored() {
        for kind in ALL {
            let issued = kind.issue();
            assert_eq!(kind.hash(issued.secret.expose()), Some(issued.hash));
        }
    }

    #[test]
    fn a_secret_of_another_kind_is_not_looked_up() {
        let token = Credential::Token.issue();
        assert_eq!(Credential::Session.hash(token.secret.expose()), None);
        assert_eq!(Credential::Token.hash("vdt_short"), None);
        assert_eq!(Credential::Token.hash(&format!("vdt_{}", "é".repeat(22))), None);
        assert_eq!(Credential::Token.hash(""), None);
    }

    #[test]
    fn no_two_are_alike_and_none_prints() {
        let one = Credential::Token.issue();
        let two = Credential::Token.issue();
        assert_ne!(one.hash, two.hash);
        assert!(!format!("{one:?}").contains(one.secret.expose().as_str()));
    }
}
