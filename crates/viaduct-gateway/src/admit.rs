//! Who may call an endpoint.

use viaduct_base::{Digest, Kind, Refusal, Secret};

use crate::Gateway;
use crate::call::CallKey;
use crate::endpoint::Endpoint;
use crate::limits::Limiter;
use crate::snapshot::ConsumerSnapshot;

impl Endpoint {
    /// Lets the caller in, as a consumer where a key says which.
    ///
    /// Why the lookup leaks nothing by its time: it compares hashes of a key that nobody can aim.
    pub(crate) fn admit(
        &self,
        key: &CallKey,
    ) -> Result<Option<(&ConsumerSnapshot, &Limiter)>, Refusal> {
        let name = &self.spec.name;
        let refused = |detail: String| Err(Refusal::new(Kind::LoginRequired, detail));
        match key {
            CallKey::Trusted => Ok(None),
            CallKey::Key(sent) => {
                let hash = Digest::of(sent.expose().as_bytes());
                let known = self.keys.get(&hash).and_then(|(place, limiter)| {
                    Some((self.spec.consumers.get(*place)?, &**limiter))
                });
                match known {
                    Some(known) => Ok(Some(known)),
                    None => refused(format!("the key is not one of endpoint `{name}`'s consumers")),
                }
            }
            CallKey::Absent if self.spec.open => Ok(None),
            CallKey::Absent => refused(format!(
                "endpoint `{name}` needs a key: send `Authorization: Bearer <key>`; an owner makes \
                 one by `POST /api/v1/endpoints/{name}/consumers`"
            )),
        }
    }
}

impl Gateway {
    /// Whether a consumer's key is one of the endpoint's; for outcomes, which come by another door.
    ///
    /// # Errors
    /// It is not; there is no such endpoint, or no snapshot yet.
    pub fn check_key(&self, endpoint: &str, key: &Secret<String>) -> Result<(), Refusal> {
        self.table()?.find(endpoint)?.admit(&CallKey::Key(key.clone())).map(|_| ())
    }
}
