//! Signatures under evaluations, append-only and chained.

use viaduct_base::{ProjectId, ReviewId, SignatureId, Timestamp, UserId, WorkspaceId};

use crate::chain::{self, ChainName};
use crate::columns::{columns, read_all};
use crate::{Scope, StoreError, Tx, Value, statement};

columns! {
    /// A signature.
    pub struct SignatureRow {
        /// Its id.
        id: SignatureId,
        /// Its workspace.
        workspace_id: WorkspaceId,
        /// Its project.
        project_id: ProjectId,
        /// The review it was given in.
        review_id: ReviewId,
        /// The hash that was signed.
        evaluation_hash: String,
        /// The role it was given as.
        role: String,
        /// Who signed.
        user_id: UserId,
        /// Their name at that moment.
        user_name: String,
        /// The sentence that names the residual risk.
        statement: String,
        /// When.
        signed_at: Timestamp,
    }
}

statement!(
    INSERT,
    scoped,
    "INSERT INTO signature (id, workspace_id, project_id, review_id, evaluation_hash, role, \
     user_id, user_name, statement, signed_at, chain_seq, prev_hash, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
);
statement!(
    LIST,
    scoped,
    "SELECT * FROM signature WHERE workspace_id = $1 AND review_id = $2 ORDER BY chain_seq"
);

/// Appends a signature; a second one of the same person in a review is [`StoreError::Unique`].
pub fn append(tx: &mut Tx, row: &SignatureRow) -> Result<(), StoreError> {
    chain::append(tx, ChainName::Signatures, &INSERT, SignatureRow::COLUMNS, row.values())
        .map(|_| ())
}

/// The review's signatures in the order they were given.
pub fn list(tx: &mut Tx, scope: &Scope, review: ReviewId) -> Result<Vec<SignatureRow>, StoreError> {
    read_all(tx.query(&LIST, &[scope.bind(), Value::text(review)])?, SignatureRow::read)
}
