//! `grpc.health.v1`: whether the data plane answers, or one endpoint.

use tonic::{Request, Response, Status};
use viaduct_app::App;
use viaduct_gateway::Gateway;

use crate::proto::grpc::health::v1::health_check_response::ServingStatus;
use crate::proto::grpc::health::v1::health_server;
use crate::proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use crate::status::check;

/// The health service.
#[derive(Debug)]
pub struct Health(Gateway);

impl Health {
    pub(crate) fn new(app: &App) -> Self {
        Self(app.gateway().clone())
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    /// The empty name is the server, and so is the name of the inference service.
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        check(request.extensions(), "Check")?;
        let name = &request.get_ref().service;
        if !matches!(name.as_str(), "" | "inference.GRPCInferenceService" | "grpc.health.v1.Health")
        {
            return Err(Status::not_found(format!("there is no service `{name}`")));
        }
        let status = match self.0.readiness().ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }
}
