"""Fills a database that `mlflow db upgrade` made, by plain inserts: `mlflow_seed.py URL RUNS POINTS LONG_RUN`.

Experiment 1 has RUNS runs, each with four metrics of three points, six params and three tags; experiment 2 has
one run with a metric of POINTS points. The same rows go to both sides: ours imports this database.
"""

import sqlite3
import sys

url, runs, points, long_run = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
START = 1_760_000_000_000
BATCH = 20_000

if url.startswith("sqlite"):
    db = sqlite3.connect(url.removeprefix("sqlite:///"))
    db.execute("PRAGMA synchronous = OFF")

    def put(sql, rows):
        db.executemany(sql.replace("%s", "(" + ",".join("?" * len(rows[0])) + ")"), rows)
else:
    import psycopg2
    from psycopg2.extras import execute_values

    db = psycopg2.connect(url.replace("+psycopg2", ""))
    cursor = db.cursor()

    def put(sql, rows):
        execute_values(cursor, sql, rows, page_size=2000)


def values(i):
    acc = (i * 7919 % 10007) / 10007
    return {"acc": acc, "loss": 1 - acc, "auc": acc / 2 + 0.5, "f1": (i * 31 % 997) / 997}


EXPERIMENTS = ("INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
               "last_update_time) VALUES %s")
RUNS = ("INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
        "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) VALUES %s")
METRICS = "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES %s"
LATEST = "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES %s"
PARAMS = "INSERT INTO params (run_uuid, key, value) VALUES %s"
TAGS = "INSERT INTO tags (run_uuid, key, value) VALUES %s"

names = [(0, "Default"), (1, "bench"), (2, "long")]
put(EXPERIMENTS, [(i, name, f"mlflow-artifacts:/{i}", "active", START, START) for i, name in names])


def run(run_id, name, i, experiment):
    return (run_id, name, "UNKNOWN", "", "", "ana", "FINISHED", START + i, START + i + 40_000, "", "active",
            f"mlflow-artifacts:/{experiment}/{run_id}/artifacts", experiment)


for start in range(0, runs, BATCH):
    block = range(start, min(runs, start + BATCH))
    ids = {i: f"{i:032x}" for i in block}
    put(RUNS, [run(ids[i], f"run-{i}", i, 1) for i in block])
    put(METRICS, [(ids[i], key, value * (step + 1) / 3, START + i + step, step, False)
                  for i in block for key, value in values(i).items() for step in range(3)])
    put(LATEST, [(ids[i], key, value, START + i + 2, 2, False) for i in block for key, value in values(i).items()])
    put(PARAMS, [(ids[i], key, str(i % n)) for i in block
                 for key, n in (("depth", 4), ("eta", 7), ("rounds", 11), ("seed", 97), ("features", 13), ("kind", 3))])
    put(TAGS, [(ids[i], key, value) for i in block
               for key, value in (("mlflow.user", "ana"), ("mlflow.runName", f"run-{i}"), ("team", f"team-{i % 5}"))])
put(RUNS, [run(long_run, "long", 0, 2)])
for start in range(0, points, BATCH):
    block = range(start, min(points, start + BATCH))
    put(METRICS, [(long_run, "loss", 1 / (i + 1), START + i * 10, i, False) for i in block])
put(LATEST, [(long_run, "loss", 1 / points, START + (points - 1) * 10, points - 1, False)])
if not url.startswith("sqlite"):
    cursor.execute("SELECT setval('experiments_experiment_id_seq', 2)")
db.commit()
if not url.startswith("sqlite"):
    # PostgreSQL would do it by itself in a minute. MLflow never does it on SQLite, so it is not done there.
    cursor.execute("ANALYZE")
    db.commit()
db.close()
