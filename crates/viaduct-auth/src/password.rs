//! Passwords: argon2id, in the PHC text form that carries its own parameters and salt.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Version};
use viaduct_base::{Fault, Secret};

/// Shorter ones are guessed (NIST SP 800-63B asks for at least eight).
const CHARS_MIN: usize = 8;
/// Longer ones only cost time.
const BYTES_MAX: usize = 1024;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Params {
    /// What OWASP's password storage page asks of argon2id: 19 MiB, two passes, one lane.
    pub const STANDARD: Params = Params { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// The least that argon2 takes. For tests only: it protects nothing.
    pub const CHEAP_FOR_TESTS: Params = Params { memory_kib: 8, passes: 1, lanes: 1 };

    fn hasher(self) -> Result<Argon2<'static>, Fault> {
        argon2::Params::new(self.memory_kib, self.passes, self.lanes, None)
            .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
            .map_err(|error| Fault::new(format!("argon2 does not take {self:?}: {error}")))
    }
}

/// Why a password is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordRefused {
    /// Too easy to guess.
    #[error("the password has {0} characters: use {CHARS_MIN} or more")]
    TooShort(usize),
    /// So long that it only costs time.
    #[error("the password has {0} bytes: use {BYTES_MAX} or fewer")]
    TooLong(usize),
    /// The hash could not be made.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The text to store for a new password.
///
/// # Errors
/// Refuses a password shorter than 8 characters or longer than 1024 bytes.
pub fn hash_password(password: &Secret<String>, params: Params) -> Result<String, PasswordRefused> {
    let text = password.expose();
    let chars = text.chars().count();
    if chars < CHARS_MIN {
        return Err(PasswordRefused::TooShort(chars));
    }
    if text.len() > BYTES_MAX {
        return Err(PasswordRefused::TooLong(text.len()));
    }
    let hash = params
        .hasher()?
        .hash_password(text.as_bytes())
        .map_err(|error| Fault::new(format!("a password could not be hashed: {error}")))?;
    Ok(hash.to_string())
}

/// True when `password` is the one that `stored` was made from. The parameters are the stored
/// ones, so hashes made under older parameters still fit. A text that is no hash never fits.
pub fn verify_password(password: &Secret<String>, stored: &str) -> bool {
    if password.expose().len() > BYTES_MAX {
        return false;
    }
    PasswordHash::new(stored).is_ok_and(|hash| {
        Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
    })
}

/// Spends what [`verify_password`] would spend, for a user that does not exist: so the time of
/// the answer does not tell which names exist.
pub fn spend_like_verify(password: &Secret<String>, params: Params) {
    if let Ok(hasher) = params.hasher() {
        let bytes = password.expose().as_bytes();
        let mut out = [0_u8; 32];
        let taken = &bytes[..bytes.len().min(BYTES_MAX)];
        // Why ignored: only the time matters.
        let _ = hasher.hash_password_into(taken, b"viaduct-nobody", &mut out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn hash(text: &str) -> String {
        hash_password(&secret(text), Params::CHEAP_FOR_TESTS).unwrap()
    }

    #[test]
    fn the_right_password_fits_and_no_other() {
        let stored = hash("correct horse");
        assert!(verify_password(&secret("correct horse"), &stored));
        assert!(!verify_password(&secret("correct horsf"), &stored));
        assert!(!verify_password(&secret(""), &stored));
    }

    #[test]
    fn equal_passwords_have_different_hashes() {
        assert_ne!(hash("correct horse"), hash("correct horse"));
    }

    #[test]
    fn the_stored_text_names_argon2id_and_its_parameters() {
        assert!(hash("correct horse").starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let standard = hash_password(&secret("correct horse"), Params::STANDARD).unwrap();
        assert!(standard.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{standard}");
        assert!(verify_password(&secret("correct horse"), &standard));
    }

    #[test]
    fn a_stored_text_that_is_no_hash_never_fits() {
        for stored in ["", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(!verify_password(&secret("correct horse"), stored));
        }
    }

    #[test]
    fn too_short_and_too_long_are_refused_with_the_mend() {
        let short = hash_password(&secret("1234567"), Params::CHEAP_FOR_TESTS).unwrap_err();
        assert_eq!(short.to_string(), "the password has 7 characters: use 8 or more");
        let long = hash_password(&secret(&"x".repeat(1025)), Params::CHEAP_FOR_TESTS).unwrap_err();
        assert!(matches!(long, PasswordRefused::TooLong(1025)));
    }

    #[test]
    fn a_missing_user_costs_a_hash_too() {
        spend_like_verify(&secret("anything"), Params::CHEAP_FOR_TESTS);
    }
}
