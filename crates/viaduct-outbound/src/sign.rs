//! Signatures by which a receiver knows who sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// MLflow's signature of a delivery: `v1,` and the HMAC-SHA256 of id, seconds and body.
pub fn sign(secret: &str, delivery_id: &str, unix_seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = format!("{delivery_id}.{unix_seconds}.{body}");
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_mlflow_signs() {
        // Made by `mlflow.webhooks.delivery._generate_hmac_signature("s3cret", "id-1", "1700000000", "{\"a\": 1}")`.
        let signed = sign("s3cret", "id-1", 1_700_000_000, "{\"a\": 1}");
        assert_eq!(signed, "v1,YW5PRvKTy+IERaaAfKQzg15qWC7EzIzNmMWjrKRbRvY=");
        assert_ne!(signed, sign("other", "id-1", 1_700_000_000, "{\"a\": 1}"));
    }
}
