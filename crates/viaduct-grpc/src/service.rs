//! The inference service. What is not here (shared memory, loading of models, tracing) answers
//! `UNIMPLEMENTED`.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tonic::codegen::BoxStream;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};
use viaduct_api::oip::call::{self, Asked, check_version};
use viaduct_api::oip::describe;
use viaduct_api::predict::{Serving, call_key};
use viaduct_app::App;
use viaduct_base::{Kind, Refusal};
use viaduct_gateway::EndpointMetadata;
use viaduct_wire::oip::MetadataTensor;

use crate::proto::inference as pb;
use crate::proto::inference::grpc_inference_service_server::GrpcInferenceService;
use crate::status::{check, declined, refused};
use crate::{parameter, tensor};

/// The inference service.
#[derive(Debug, Clone)]
pub struct Inference(Serving);

impl Inference {
    pub(crate) fn new(app: &App) -> Self {
        Self(Serving(app.gateway().clone()))
    }

    fn describe(&self, name: &str, version: &str) -> Result<EndpointMetadata, Status> {
        let found = self.0.0.metadata(name).map_err(|refusal| refused(&refusal))?;
        if !version.is_empty() {
            check_version(&found, version).map_err(|refusal| refused(&refusal))?;
        }
        Ok(found)
    }

    pub(crate) async fn answer(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        mut request: pb::ModelInferRequest,
    ) -> Result<pb::ModelInferResponse, Status> {
        let deadline = deadline(metadata).map_err(|refusal| refused(&refusal))?;
        let inputs = tensor::inputs(&mut request).map_err(|refusal| refused(&refusal))?;
        let asked = Asked {
            endpoint: request.model_name.clone(),
            version: Some(request.model_version),
            key: call_key(extensions),
            inputs,
            outputs: request.outputs.into_iter().map(|output| output.name).collect(),
            parameters: parameter::read(request.parameters),
            deadline,
        };
        let found = call::answer(&self.0, asked).await.map_err(declined)?;
        let (outputs, raw): (Vec<_>, Vec<_>) =
            found.outputs.into_iter().map(tensor::output).unzip();
        let parameters = found.parameters.into_iter();
        Ok(pb::ModelInferResponse {
            model_name: request.model_name,
            model_version: found.model_version.map(|v| v.to_string()).unwrap_or_default(),
            id: request.id,
            parameters: parameters.map(|p| (p.name.to_owned(), parameter::text(p.value))).collect(),
            outputs,
            raw_output_contents: raw.into_iter().map(Into::into).collect(),
        })
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
fn deadline(metadata: &MetadataMap) -> Result<Option<Instant>, Refusal> {
    let Some(value) = metadata.get("grpc-timeout") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let span = text.char_indices().last().and_then(|(end, unit)| {
        let count: u64 = text[..end].parse().ok()?;
        Some(match unit {
            'H' => Duration::from_secs(count.checked_mul(3600)?),
            'M' => Duration::from_secs(count.checked_mul(60)?),
            'S' => Duration::from_secs(count),
            'm' => Duration::from_millis(count),
            'u' => Duration::from_micros(count),
            'n' => Duration::from_nanos(count),
            _ => return None,
        })
    });
    match span {
        Some(span) => Ok(Instant::now().checked_add(span)),
        None => {
            let detail = format!("`grpc-timeout: {text}` is no time, as in `250m`");
            Err(Refusal::new(Kind::InvalidInput, detail))
        }
    }
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(
        &self,
        request: Request<pb::ServerLiveRequest>,
    ) -> Answered<pb::ServerLiveResponse> {
        check(request.extensions(), "ServerLive")?;
        Ok(Response::new(pb::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        request: Request<pb::ServerReadyRequest>,
    ) -> Answered<pb::ServerReadyResponse> {
        check(request.extensions(), "ServerReady")?;
        Ok(Response::new(pb::ServerReadyResponse { ready: self.0.0.readiness().ready }))
    }

    async fn model_ready(
        &self,
        request: Request<pb::ModelReadyRequest>,
    ) -> Answered<pb::ModelReadyResponse> {
        check(request.extensions(), "ModelReady")?;
        let asked = request.get_ref();
        let ready = self.describe(&asked.name, &asked.version)?.ready;
        Ok(Response::new(pb::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        request: Request<pb::ServerMetadataRequest>,
    ) -> Answered<pb::ServerMetadataResponse> {
        check(request.extensions(), "ServerMetadata")?;
        let found = describe::server();
        Ok(Response::new(pb::ServerMetadataResponse {
            name: found.name.to_owned(),
            version: found.version.to_owned(),
            extensions: found.extensions.into_iter().map(str::to_owned).collect(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Answered<pb::ModelMetadataResponse> {
        check(request.extensions(), "ModelMetadata")?;
        let asked = request.get_ref();
        let found = describe::model(self.describe(&asked.name, &asked.version)?);
        let tensors = |tensors: Vec<MetadataTensor>| {
            let tensors = tensors.into_iter();
            let tensors = tensors.map(|t| pb::model_metadata_response::TensorMetadata {
                name: t.name,
                datatype: t.datatype.to_owned(),
                shape: t.shape,
            });
            tensors.collect()
        };
        Ok(Response::new(pb::ModelMetadataResponse {
            name: found.name,
            versions: found.versions,
            platform: found.platform.to_owned(),
            inputs: tensors(found.inputs),
            outputs: tensors(found.outputs),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Answered<pb::ModelInferResponse> {
        check(request.extensions(), "ModelInfer")?;
        let (metadata, extensions, asked) = request.into_parts();
        Ok(Response::new(self.answer(&metadata, &extensions, asked).await?))
    }

    /// One answer a request, in their order. A refusal is an answer too: the stream goes on.
    async fn model_stream_infer(
        &self,
        request: Request<Streaming<pb::ModelInferRequest>>,
    ) -> Answered<BoxStream<pb::ModelStreamInferResponse>> {
        check(request.extensions(), "ModelStreamInfer")?;
        let (mut metadata, extensions, asked) = request.into_parts();
        // Why: it is the time of the whole stream, which the client ends itself.
        metadata.remove("grpc-timeout");
        let state = (self.clone(), metadata, extensions, asked);
        let answers = futures::stream::unfold(
            state,
            |(service, metadata, extensions, mut asked)| async move {
                let answer = match asked.next().await? {
                    Ok(request) => Ok(service.one(&metadata, &extensions, request).await),
                    Err(status) => Err(status),
                };
                Some((answer, (service, metadata, extensions, asked)))
            },
        );
        Ok(Response::new(answers.boxed()))
    }

    async fn model_config(
        &self,
        request: Request<pb::ModelConfigRequest>,
    ) -> Answered<pb::ModelConfigResponse> {
        check(request.extensions(), "ModelConfig")?;
        let asked = request.get_ref();
        let found = describe::config(self.describe(&asked.name, &asked.version)?);
        let kind = |name: &str| {
            pb::DataType::from_str_name(name).unwrap_or(pb::DataType::TypeInvalid).into()
        };
        let input = found.input.into_iter().map(|t| pb::ModelInput {
            name: t.name,
            data_type: kind(&t.data_type),
            dims: t.dims,
            ..pb::ModelInput::default()
        });
        let output = found.output.into_iter().map(|t| pb::ModelOutput {
            name: t.name,
            data_type: kind(&t.data_type),
            dims: t.dims,
            ..pb::ModelOutput::default()
        });
        let config = pb::ModelConfig {
            name: found.name,
            platform: found.platform.to_owned(),
            backend: found.backend.to_owned(),
            max_batch_size: found.max_batch_size,
            input: input.collect(),
            output: output.collect(),
            ..pb::ModelConfig::default()
        };
        Ok(Response::new(pb::ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<pb::ModelStatisticsRequest>,
    ) -> Answered<pb::ModelStatisticsResponse> {
        check(request.extensions(), "ModelStatistics")?;
        let asked = request.get_ref();
        let found = describe::statistics(&self.0.0, &asked.name, &asked.version)
            .map_err(|refusal| refused(&refusal))?;
        let total =
            |d: describe::Duration| Some(pb::StatisticDuration { count: d.count, ns: d.ns });
        let model_stats = found.model_stats.into_iter().map(|model| pb::ModelStatistics {
            name: model.name,
            version: model.version,
            inference_count: model.inference_count,
            execution_count: model.execution_count,
            inference_stats: Some(pb::InferStatistics {
                success: total(model.inference_stats.success),
                fail: total(model.inference_stats.fail),
                queue: total(model.inference_stats.queue),
                compute_infer: total(model.inference_stats.compute_infer),
                ..pb::InferStatistics::default()
            }),
            ..pb::ModelStatistics::default()
        });
        let model_stats = model_stats.collect();
        Ok(Response::new(pb::ModelStatisticsResponse { model_stats }))
    }
}

impl Inference {
    /// One answer of a stream.
    async fn one(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        request: pb::ModelInferRequest,
    ) -> pb::ModelStreamInferResponse {
        let id = request.id.clone();
        let (error_message, mut answer) = match self.answer(metadata, extensions, request).await {
            Ok(answer) => (String::new(), answer),
            // Why an answer beside the error: the client finds its request by the id.
            Err(status) => {
                let answer = pb::ModelInferResponse { id, ..pb::ModelInferResponse::default() };
                (status.message().to_owned(), answer)
            }
        };
        answer.parameters.insert("triton_final_response".into(), parameter::flag(true));
        pb::ModelStreamInferResponse { error_message, infer_response: Some(answer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        let with = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            let before = Instant::now();
            deadline(&metadata).map(|at| at.map(|at| at.duration_since(before).as_millis()))
        };
        for (text, wanted) in [("250m", 250), ("2S", 2_000), ("1M", 60_000), ("1H", 3_600_000)] {
            let found = with(text).unwrap().unwrap();
            assert!((wanted..wanted + 50).contains(&found), "{text}: {found}");
        }
        for bad in ["", "m", "5", "5x", "-1S", "5ä"] {
            assert!(with(bad).is_err(), "{bad}");
        }
        assert!(deadline(&MetadataMap::new()).unwrap().is_none());
    }
}
