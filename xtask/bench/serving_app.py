"""What somebody writes by hand in an afternoon: FastAPI over onnxruntime, one row or many.

Environment: BENCH_ONNX, BENCH_COLUMNS (comma-separated; the model takes one float matrix).
"""

import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from fastapi.responses import ORJSONResponse
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(
    os.environ["BENCH_ONNX"], options, providers=["CPUExecutionProvider"]
)
COLUMNS = os.environ["BENCH_COLUMNS"].split(",")
INPUT = session.get_inputs()[0].name
app = FastAPI(default_response_class=ORJSONResponse)


class Rows(BaseModel):
    rows: list[dict[str, float]]


@app.get("/healthz")
async def healthz():
    return {"ok": True}


@app.post("/predict")
async def predict(asked: Rows):
    cells = np.array([[row[name] for name in COLUMNS] for row in asked.rows], np.float32)
    labels, probabilities = session.run(None, {INPUT: cells})
    return {"labels": labels.tolist(), "probabilities": probabilities.tolist()}
