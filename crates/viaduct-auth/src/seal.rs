//! Secrets that must be given back: sealed with a key that does not stand beside them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use viaduct_base::Secret;

const KEY_BYTES: usize = 32;

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file cannot be read or made.
    #[error("the key file `{path}` cannot be used: {source}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The text is no key.
    #[error("a sealing key is 32 bytes in base64")]
    NoKey,
    /// It was sealed under another key, or changed since.
    #[error("the secret was sealed under another key, or was changed: set it again")]
    NotOurs,
}

/// The key; it never prints.
#[derive(Debug, Clone)]
pub struct SealingKey(Secret<[u8; KEY_BYTES]>);

impl SealingKey {
    /// A key written in base64, also in the alphabet of URLs as Fernet keys are.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let read = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
        let bytes = read.or_else(|_| URL_SAFE_NO_PAD.decode(text)).map_err(|_| SealError::NoKey)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| SealError::NoKey)?;
        Ok(Self(Secret::new(bytes)))
    }

    /// The key of a file that only this user can read; made at random when there is none.
    ///
    /// # Errors
    /// [`SealError::File`], and [`SealError::NoKey`] for a file with something else in it.
    pub fn in_file(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File { path: path.display().to_string(), source };
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(mut file) => {
                let text = crate::credential::random_text();
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(e)),
        }
        Self::from_text(&fs::read_to_string(path).map_err(failed)?)
    }

    fn key(&self) -> Result<LessSafeKey, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.expose()).map_err(|_| SealError::NoKey)?;
        Ok(LessSafeKey::new(key))
    }

    /// Seals a secret for the thing `owner`; under another owner it does not open.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, owner: &str, secret: &Secret<String>) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::NoKey)?;
        let mut sealed = secret.expose().clone().into_bytes();
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::NoKey)?;
        let mut whole = nonce.to_vec();
        whole.extend(sealed);
        Ok(STANDARD.encode(whole))
    }

    /// Opens what [`SealingKey::seal`] made for `owner`.
    ///
    /// # Errors
    /// [`SealError::NotOurs`].
    pub fn open(&self, owner: &str, sealed: &str) -> Result<Secret<String>, SealError> {
        let mut whole = STANDARD.decode(sealed).map_err(|_| SealError::NotOurs)?;
        let (nonce, body) = whole.split_at_mut_checked(NONCE_LEN).ok_or(SealError::NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::NotOurs)?;
        let opened = self
            .key()?
            .open_in_place(nonce, Aad::from(owner.as_bytes()), body)
            .map_err(|_| SealError::NotOurs)?;
        String::from_utf8(opened.to_vec()).map(Secret::new).map_err(|_| SealError::NotOurs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_and_the_owner_open_it() {
        let dir = std::env::temp_dir().join(format!("seal-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("key");
        let key = SealingKey::in_file(&path).unwrap();
        let secret = Secret::new("s3cret".to_owned());
        let sealed = key.seal("hook", &secret).unwrap();
        assert!(!sealed.contains("s3cret"));
        assert_ne!(sealed, key.seal("hook", &secret).unwrap());
        let again = SealingKey::in_file(&path).unwrap();
        assert_eq!(again.open("hook", &sealed).unwrap(), secret);
        assert!(again.open("other", &sealed).is_err());
        let other = SealingKey::from_text(&URL_SAFE.encode([7; KEY_BYTES])).unwrap();
        assert!(other.open("hook", &sealed).is_err());
        assert!(again.open("hook", "AAAA").is_err());
        assert!(SealingKey::from_text("short").is_err());
        assert_eq!(format!("{key:?}"), "SealingKey(…)");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(&dir).unwrap();
    }
}
