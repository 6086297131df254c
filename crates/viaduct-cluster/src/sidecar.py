"""An MLflow model that stays Python, for Viaduct. Needs `mlflow-skinny` and what the model needs.

    sidecar.py serve FOLDER SOCKET          Open Inference Protocol v2 over a Unix socket
    sidecar.py replay FOLDER ONNX CSV OUT   what the model says of rows, as JSON in OUT

`serve` ends when its standard input closes: when the server that started it is gone.
"""

import http.server
import json
import math
import os
import signal
import socketserver
import sys
import threading

ROWS_MAX = 10_000
BODY_MAX = 256 << 20
DTYPES = {
    "FP16": "float16", "FP32": "float32", "FP64": "float64", "INT8": "int8", "INT16": "int16",
    "INT32": "int32", "INT64": "int64", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32",
    "UINT64": "uint64", "BOOL": "bool",
}
WORDS = {
    "boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64",
    "string": "BYTES",
}


def load(folder):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(folder)


def columns_of(model):
    """Name and protocol type of each column of the signature; empty when it has none."""
    schema = model.metadata.get_input_schema()
    if schema is None or schema.is_tensor_spec():
        return []
    return [(spec.name, WORDS.get(getattr(spec.type, "name", ""), "BYTES")) for spec in schema.inputs]


def frame_of(inputs):
    """The request's tensors as a data frame, a column each."""
    import pandas as pd

    columns = {}
    for tensor in inputs:
        cells = flat(tensor.get("data", []))
        dtype = DTYPES.get(tensor.get("datatype"))
        if dtype is None:
            columns[tensor["name"]] = pd.Series(cells, dtype="object")
        elif any(cell is None for cell in cells):
            columns[tensor["name"]] = pd.Series(cells, dtype="float64")
        else:
            columns[tensor["name"]] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(columns)


def flat(data):
    if isinstance(data, list) and data and isinstance(data[0], list):
        return [cell for row in data for cell in flat(row)]
    return data


def tensors_of(answer, rows):
    """What the model answered as the protocol's tensors."""
    import numpy as np
    import pandas as pd

    if isinstance(answer, pd.DataFrame):
        return [tensor(str(name), answer[name].to_numpy(), rows) for name in answer.columns]
    if isinstance(answer, dict):
        return [tensor(str(name), np.asarray(cells), rows) for name, cells in answer.items()]
    return [tensor("predict", np.asarray(answer), rows)]


def tensor(name, cells, rows):
    kind = cells.dtype.kind
    datatype = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}.get(kind, "BYTES")
    data = [plain(cell) for cell in cells.reshape(-1).tolist()]
    if datatype == "BYTES":
        data = [cell if isinstance(cell, str) else json.dumps(cell) for cell in data]
    width = len(data) // rows if rows else 0
    return {"name": name, "datatype": datatype, "shape": [rows, width], "data": data}


def plain(cell):
    """JSON has no NaN: null is one."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path in ("/v2/health/live", "/v2/health/ready", "/v2/models/model/ready"):
            return self.answer(200, {})
        if self.path == "/v2/models/model":
            inputs = [{"name": name, "datatype": datatype, "shape": [-1, 1]}
                      for name, datatype in columns_of(self.model)]
            return self.answer(200, {"name": "model", "platform": "mlflow_pyfunc",
                                     "inputs": inputs, "outputs": []})
        return self.answer(404, {"error": f"there is no `{self.path}`"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            self.close_connection = True
            return self.answer(413, {"error": f"at most {BODY_MAX} bytes"})
        body = self.rfile.read(length)
        if self.path != "/v2/models/model/infer":
            return self.answer(404, {"error": f"there is no `{self.path}`"})
        try:
            frame = frame_of(json.loads(body)["inputs"])
            outputs = tensors_of(self.model.predict(frame), len(frame))
        except Exception as error:
            return self.answer(500, {"error": f"{type(error).__name__}: {error}"[:2000]})
        return self.answer(200, {"model_name": "model", "outputs": outputs})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


def leave_with_the_server():
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def serve(folder, socket):
    os.umask(0o077)
    threading.Thread(target=leave_with_the_server, daemon=True).start()
    Handler.model = load(folder)
    if os.path.exists(socket):
        os.unlink(socket)
    Server(socket, Handler).serve_forever()


def replay(folder, onnx, csv, out):
    """Rows and answers, in the words of Viaduct's outputs."""
    import numpy as np

    model = load(folder)
    rows = rows_to_replay(model, folder, onnx, csv)
    answer = {"rows": json.loads(rows.to_json(orient="records", double_precision=15))}
    raw = model.get_raw_model()
    if hasattr(raw, "predict_proba"):
        answer["classes"] = [str(cell) for cell in np.asarray(raw.classes_).tolist()]
        answer["probabilities"] = np.asarray(raw.predict_proba(rows)).tolist()
        answer["label"] = [str(cell) for cell in np.asarray(raw.predict(rows)).reshape(-1).tolist()]
    else:
        said = np.asarray(model.predict(rows)).reshape(len(rows), -1)[:, 0]
        key = "value" if said.dtype.kind == "f" else "label"
        answer[key] = [plain(cell) if key == "value" else str(cell) for cell in said.tolist()]
    with open(out, "w") as file:
        json.dump(answer, file)


def rows_to_replay(model, folder, onnx, csv):
    """The run's test rows, else the example that was logged with either model."""
    import pandas as pd
    from mlflow.models import Model

    names = [name for name, _ in columns_of(model)]
    if csv:
        table = pd.read_csv(csv, nrows=ROWS_MAX)
        if names and all(name in table for name in names):
            return table[names]
    for place in (onnx, folder):
        example = Model.load(place).load_input_example(place)
        if example is not None:
            if not isinstance(example, pd.DataFrame):
                example = pd.DataFrame(example)
            return example[names] if names else example
    raise SystemExit("no rows: log the model with `input_example=…`, or `viaduct/test.csv` in its run")


if __name__ == "__main__":
    verbs = {"serve": serve, "replay": replay}
    verbs[sys.argv[1]](*sys.argv[2:])
