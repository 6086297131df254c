"""Traces and metrics as a collector gets them: OTLP over HTTP and over gRPC, from the built binary."""

import gzip
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_rpc

from conftest import Server, free_port, run
from serving_world import register, rows, trained  # noqa: F401

SECRET = "hush-" + secrets.token_hex(8)


class Collector:
    """Keeps what it was sent; answers over HTTP."""

    def __init__(self):
        self.requests, self.metrics, self.headers = [], [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers.append(dict(self.headers))
                if self.path == "/v1/traces":
                    collector.requests.append(traces_pb.ExportTraceServiceRequest.FromString(body))
                    answer = traces_pb.ExportTraceServiceResponse()
                else:
                    assert self.path == "/v1/metrics", self.path
                    collector.metrics.append(metrics_pb.ExportMetricsServiceRequest.FromString(body))
                    answer = metrics_pb.ExportMetricsServiceResponse()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(answer.SerializeToString())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        return [
            (resource.resource, span)
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class GrpcCollector(traces_rpc.TraceServiceServicer):
    """The same over gRPC."""

    def __init__(self):
        self.requests, self.metrics, self.headers = [], [], []
        outer = self

        class Metrics(metrics_rpc.MetricsServiceServicer):
            def Export(self, request, context):
                outer.metrics.append(request)
                return metrics_pb.ExportMetricsServiceResponse()

        self.server = grpc.server(ThreadPoolExecutor(4))
        traces_rpc.add_TraceServiceServicer_to_server(self, self.server)
        metrics_rpc.add_MetricsServiceServicer_to_server(Metrics(), self.server)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.url = f"http://127.0.0.1:{port}"
        self.server.start()

    def Export(self, request, context):
        self.requests.append(request)
        self.headers.append(dict(context.invocation_metadata()))
        return traces_pb.ExportTraceServiceResponse()

    spans = Collector.spans

    def stop(self):
        self.server.stop(1)


def attributes(pairs):
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs
    }


def wait_for(what, limit_s=20):
    end = time.monotonic() + limit_s
    while not (found := what()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return found


def start(tmp_path, endpoint, **env):
    return Server(
        tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="50",
        OTEL_METRIC_EXPORT_INTERVAL="200", OTEL_EXPORTER_OTLP_HEADERS=f"x-tenant={SECRET}",
        OTEL_SERVICE_NAME="leads-service", OTEL_RESOURCE_ATTRIBUTES="team=risk%20desk", **env,
    )


@pytest.mark.parametrize("kind", [Collector, GrpcCollector])
def test_a_prediction_is_a_span_of_its_callers_trace_and_metrics_arrive(kind, trained, runtime_library, tmp_path):  # noqa: F811
    collector = kind()
    protocol = {} if kind is Collector else {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    _, onnx, frame = trained
    server = start(
        tmp_path, collector.url, VIADUCT__RUNTIME__LIBRARY=str(runtime_library), **protocol
    )
    try:
        register(server, onnx, frame, "leads")
        server.run("deploy", "leads@champion").ok()
        server.wait_for("/v2/models/leads/ready")
        trace, parent = secrets.token_hex(16), secrets.token_hex(8)
        sent = {"traceparent": f"00-{trace}-{parent}-01"}
        answer = server.post(
            "/api/v1/endpoints/leads/predict", {"rows": rows(3, seed=5)}, headers=sent
        )
        assert answer.status == 200, answer.text
        mine = lambda: [  # noqa: E731
            (resource, span) for resource, span in collector.spans() if span.trace_id.hex() == trace
        ]
        found = wait_for(mine)
        assert len(found) == 1, found
        resource, span = found[0]
        assert span.parent_span_id.hex() == parent
        assert span.name == "POST /api/v1/endpoints/{endpoint}/predict"
        assert span.end_time_unix_nano > span.start_time_unix_nano
        said = attributes(span.attributes)
        assert said["http.response.status_code"] == 200
        assert said["viaduct.endpoint"] == "leads" and said["viaduct.decisions"] == 3
        assert said["viaduct.request_id"] == answer.headers["x-request-id"]
        who = attributes(resource.attributes)
        assert (who["service.name"], who["team"]) == ("leads-service", "risk desk")

        # An unsampled trace is the caller's choice.
        unkept = secrets.token_hex(16)
        server.post(
            "/api/v1/endpoints/leads/predict", {"rows": rows(1)},
            headers={"traceparent": f"00-{unkept}-{parent}-00"},
        )

        def metric(name):
            for request in reversed(collector.metrics):
                for resource in request.resource_metrics:
                    for scope in resource.scope_metrics:
                        for metric in scope.metrics:
                            if metric.name == name:
                                return metric
            return None

        names = lambda: {  # noqa: E731
            metric.name for request in collector.metrics for resource in request.resource_metrics
            for scope in resource.scope_metrics for metric in scope.metrics
        }
        wait_for(lambda: any(name.startswith("viaduct_") for name in names()))
        commits = metric("viaduct_store_commits")
        point = commits.sum.data_points[0]
        assert commits.sum.is_monotonic and max(point.as_int, point.as_double) > 0
        # Spans and metrics carry no row.
        told = b"".join(request.SerializeToString() for request in collector.requests)
        assert b"nurse" not in told and b"balance" not in told
        lower = [{name.lower(): value for name, value in one.items()} for one in collector.headers]
        assert all(headers["x-tenant"] == SECRET for headers in lower)
        # What waits when the server stops is sent first.
        last = secrets.token_hex(16)
        server.get("/healthz", headers={"traceparent": f"00-{last}-{parent}-01"})
        server.stop()
        assert any(span.trace_id.hex() == last for _, span in collector.spans())
        assert not any(span.trace_id.hex() == unkept for _, span in collector.spans())
        assert SECRET not in server.log_path.read_text()
    finally:
        server.kill9()
        collector.stop()


def test_a_dead_collector_costs_no_request_and_is_said_once(tmp_path):
    server = start(tmp_path, f"http://127.0.0.1:{free_port()}")
    try:
        silent = "the collector takes nothing"
        wait_for(lambda: silent in server.log())
        for _ in range(50):
            assert server.get("/readyz").status == 200
        failed = 'viaduct_telemetry_exports_total{signal="metrics",outcome="failed"}'
        count = lambda: int(server.get("/metrics").text.split(failed)[1].split()[0])  # noqa: E731
        wait_for(lambda: count() > 3)
        assert server.log().count(silent) == 1
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 8
        assert SECRET not in server.log_path.read_text()
    finally:
        server.kill9()


def test_a_variable_that_means_nothing_stops_the_start(tmp_path):
    ran = run(
        "server", "--data-dir", tmp_path / "data", "--listen", f"127.0.0.1:{free_port()}",
        OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318",
    )
    assert ran.code == 2 and "OTEL_EXPORTER_OTLP_ENDPOINT" in ran.err, ran.err
