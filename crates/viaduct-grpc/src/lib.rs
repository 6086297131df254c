//! The Open Inference Protocol over gRPC, with the calls of Triton that `tritonclient` makes, and
//! `grpc.health.v1`.
//!
//! Only the form is new here: requests become the same [`viaduct_api::oip::call::Asked`] as over
//! REST, and pass the same corridor. Host, credentials and the authorisation table are checked by
//! the layers that stand before every route; [`operation`] says which row guards which method.

mod health;
mod parameter;
mod service;
mod short;
mod status;
mod tensor;

use viaduct_api::body::BODY_BYTES_MAX;
use viaduct_app::App;
use viaduct_domain::permission::Operation;

use proto::grpc::health::v1::health_server::HealthServer;
use proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use tonic::codec::CompressionEncoding;

/// What the build makes from the published files.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "made by a generator"
)]
pub(crate) mod proto {
    pub(crate) mod inference {
        tonic::include_proto!("inference");
    }
    pub(crate) mod grpc {
        pub(crate) mod health {
            pub(crate) mod v1 {
                tonic::include_proto!("grpc.health.v1");
            }
        }
    }
}

/// The path of the inference service's methods.
pub const INFERENCE_PATH: &str = "/inference.GRPCInferenceService/{*method}";
/// The path of the health service's methods.
pub const HEALTH_PATH: &str = "/grpc.health.v1.Health/{*method}";

/// The inference service over an application.
pub fn inference(app: &App) -> GrpcInferenceServiceServer<service::Inference> {
    GrpcInferenceServiceServer::new(service::Inference::new(app))
        .max_decoding_message_size(BODY_BYTES_MAX)
        .max_encoding_message_size(BODY_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Deflate)
}

/// [`inference`] for [`viaduct_api::grpc`].
pub fn short(app: &App) -> short::Short {
    short::Short::new(service::Inference::new(app), inference(app))
}

/// The health service over an application.
pub fn health(app: &App) -> HealthServer<health::Health> {
    HealthServer::new(health::Health::new(app))
}

/// The row of the authorisation table that guards a method; unknown methods are as health: tonic
/// answers that there is no such thing.
pub(crate) fn operation(method: &str) -> Operation {
    match method {
        "ModelInfer" | "ModelStreamInfer" => Operation::Predict,
        "ModelReady" | "ModelMetadata" | "ModelConfig" | "ModelStatistics" | "RepositoryIndex" => {
            Operation::ReadServing
        }
        _ => Operation::Health,
    }
}
