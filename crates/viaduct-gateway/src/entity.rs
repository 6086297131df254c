//! How the log names an entity.

use viaduct_base::Refusal;

use crate::gateway::Gateway;
use crate::retention::hash_entity;

impl Gateway {
    /// The hash under which the decision log keeps an entity.
    ///
    /// # Errors
    /// No snapshot was published yet.
    pub fn entity_hash(&self, entity: &str) -> Result<String, Refusal> {
        Ok(hash_entity(&self.table()?.salt, entity))
    }
}
