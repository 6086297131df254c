//! Who is calling: passwords, tokens, sessions and form secrets.
//!
//! Pure functions over text and bytes. What is kept is always a hash: a stolen database holds no
//! password, no token and no session; secrets that must be given back are sealed. The crate knows no store, no HTTP and no user table.
//!
//! Invariant: a secret leaves this crate only inside [`viaduct_base::Secret`], once, when made.

mod compare;
mod credential;
mod form;
mod password;
mod seal;

pub use compare::same_bytes;
pub use credential::{Credential, Issued};
pub use form::{form_secret, form_secret_fits, new_form_secret};
pub use password::{Params, PasswordRefused, hash_password, spend_like_verify, verify_password};
pub use seal::{SealError, SealingKey};
