"""What an unmodified client does against a server whose artifacts lie in a bucket; run by test_artifacts.py."""

import hashlib
import os
import sys
from pathlib import Path

import boto3
import mlflow
from mlflow import MlflowClient

bucket, how = sys.argv[1], sys.argv[2]
s3 = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
client = MlflowClient()
experiment = client.create_experiment(f"s3 {how}")
location = client.get_experiment(experiment).artifact_location
run = client.create_run(experiment)
wanted = "mlflow-artifacts:/" if how == "proxied" else f"s3://{bucket}/"
assert location.startswith(wanted), location

folder = Path("made")
folder.mkdir()
(folder / "small.txt").write_text("small")
(folder / "big.bin").write_bytes(os.urandom(1 << 20) * 25)
client.log_artifacts(run.info.run_id, str(folder), "model")
names = sorted(f.path for f in client.list_artifacts(run.info.run_id, "model"))
assert names == ["model/big.bin", "model/small.txt"], names
keys = {o["Key"]: o["Size"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]}
assert any(key.endswith("artifacts/model/big.bin") and size == 25 << 20 for key, size in keys.items()), keys
down = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model", dst_path="down"))
for name in ("small.txt", "big.bin"):
    digest = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / name, down / name)]
    assert digest[0] == digest[1], name
parts = [s3.head_object(Bucket=bucket, Key=key)["ETag"] for key in keys if run.info.run_id in key and key.endswith("big.bin")]
print(run.info.run_id, parts[0])
