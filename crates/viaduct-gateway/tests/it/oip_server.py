"""A server of the Open Inference Protocol on a Unix socket or a port: oip_server.py MODEL.onnx ADDRESS

It runs the model by onnxruntime in Python; prints `ready` or `ready PORT` when it listens.
"""

import json
import os
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
TYPES = {"tensor(float)": "FP32", "tensor(string)": "BYTES", "tensor(int64)": "INT64"}
NUMPY = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "BYTES": object}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path.endswith("/ready"):
            return self.answer(200, {"ready": True})
        inputs = [
            {"name": i.name, "datatype": TYPES[i.type], "shape": [-1 if not isinstance(n, int) else n for n in i.shape]}
            for i in session.get_inputs()
        ]
        self.answer(200, {"name": "model", "inputs": inputs})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            feeds = {
                i["name"]: np.array(i["data"], dtype=NUMPY[i["datatype"]]).reshape(i["shape"])
                for i in request["inputs"]
            }
            found = session.run(None, feeds)
        except Exception as error:
            return self.answer(400, {"error": str(error)})
        outputs = []
        for spec, array in zip(session.get_outputs(), found):
            datatype = "INT64" if array.dtype == np.int64 else "FP32"
            outputs.append({"name": spec.name, "datatype": datatype, "shape": list(array.shape), "data": array.tolist()})
        self.answer(200, {"model_name": "model", "outputs": outputs})

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


class UnixServer(socketserver.ThreadingUnixStreamServer):
    pass


if sys.argv[2].startswith("/"):
    server = UnixServer(sys.argv[2], Handler)
    print("ready", flush=True)
else:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("ready", server.server_address[1], flush=True)
server.serve_forever()
