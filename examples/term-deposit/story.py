"""What the two demos do on a server, each step with the lines that it prints."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from client import Server, ServerSays, items

HERE = Path(__file__).resolve().parent
PROJECT, KPI, ENDPOINT = "term-deposit", "margin-per-lead", "term-deposit"
# Who is added, in order; the first is the admin, who may move the clock.
PEOPLE = {"tom": "admin", "bea": "member", "dan": "member", "sam": "member", "rita": "member", "ana": "member"}
MARKS = {
    "pass": ("✓", "32"), "fail": ("✗", "31"), "stale": ("~", "33"), "not_enough_data": ("…", "33"),
    "not_applicable": ("-", "2"), "waived": ("w", "33"),
}


def money(value: float) -> str:
    return f"{value:+.2f}"


def paint(text: str, code: str) -> str:
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if plain else f"\033[{code}m{text}\033[0m"


def number(value: object) -> str:
    """A measured value as text: a number, an interval, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, dict):
        if "estimate" in value:
            return f"{number(value['estimate'])} [{number(value['lower'])}, {number(value['upper'])}]"
        if "value" in value:
            return number(value["value"])
    return "-" if value is None else str(value)


class Story:
    def __init__(self, url: str, password: str):
        self.url, self.password = url, password
        self.tom = Server(url)  # nobody, until people exist
        self.others: dict[str, Server] = {}
        self.count = 0

    # Lines

    def chapter(self, title: str) -> None:
        self.count += 1
        print(f"\n{paint(f'{self.count}. {title}', '1')}", flush=True)

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    # Server

    def now(self) -> str:
        return self.tom.get("/api/v1/clock")["now"]

    def expect_new_simulated_server(self) -> None:
        clock = self.tom.get("/api/v1/clock")
        if clock["kind"] != "simulated":
            raise SystemExit(
                "this server lives in real time: start one on a new data directory with "
                "`viaduct server --data-dir DIR --clock simulated`"
            )

    def advance(self, to: str) -> None:
        self.tom.post("/api/v1/clock/advance", {"to": to})

    def apply(self, path: Path) -> None:
        answer = self.tom.post_text("/api/v1/apply", path.read_text(), "application/yaml")
        self.say(f"applied `{path.name}`: {len(answer['changes'])} changes, {len(answer['warnings'])} warnings")
        for warning in answer["warnings"]:
            text = warning if isinstance(warning, str) else warning.get("detail") or str(warning)
            print(textwrap.fill(text, 100, initial_indent="    · ", subsequent_indent="      "))

    def people(self) -> None:
        """The first user shuts the open door; from then on everybody has a name."""
        for name, role in PEOPLE.items():
            self.tom.post("/api/v1/users", {"name": name, "role": role, "password": self.password})
            self.others[name] = Server.as_user(self.url, name, self.password)
            self.tom = self.others["tom"]
        self.say(f"added {', '.join(PEOPLE)}; a login is demanded from now on")

    def sign_in_all(self) -> None:
        for name in ("bea", "tom", "dan"):
            self.others[name].get(f"/api/v1/projects/{PROJECT}")

    def history(self, path: Path) -> None:
        base = f"/api/v1/projects/{PROJECT}/kpis/{KPI}"
        self.tom.post_text(f"{base}/history", path.read_text(), "text/csv")
        self.tom.post(f"{base}/freeze")
        self.say(f"{len(path.read_text().splitlines()) - 1} days of the KPI loaded, baseline frozen")

    def train(self, cases: Path, onnx: Path, *flags: str) -> None:
        """Runs train.py as the data scientist does: the unmodified MLflow client against this server."""
        began = time.monotonic()
        env = os.environ | {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_TRACKING_USERNAME": "tom",
            "MLFLOW_TRACKING_PASSWORD": self.password,
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }
        command = [sys.executable, str(HERE / "train.py"), "--cases", str(cases), "--onnx", str(onnx), *flags]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"train.py failed:\n{done.stdout}{done.stderr}")
        for line in done.stdout.splitlines():
            self.say(line)
        self.say(f"trained and logged in {time.monotonic() - began:.1f} s")

    def consumer(self) -> Server:
        answer = self.tom.post(f"/api/v1/endpoints/{ENDPOINT}/consumers", {"name": "call-centre-app"})
        return Server.with_key(self.url, answer["key"])

    def reproduce(self) -> None:
        """Asks for M2; where the server has no interpreter for it, the criterion says so by itself."""
        try:
            began = time.monotonic()
            self.tom.post(f"/api/v1/projects/{PROJECT}/reproduce")
            self.say(f"the platform trained the model again in an empty directory ({time.monotonic() - began:.1f} s)")
        except ServerSays as refusal:
            self.say(f"the model was not trained again: {refusal}")

    def collect(self) -> dict:
        """Measures every fact now and returns the evaluation of the next gate."""
        self.tom.post(f"/api/v1/projects/{PROJECT}/collect")
        answer = self.tom.get(f"/api/v1/projects/{PROJECT}/gate")
        return answer.get("evaluation", answer)

    # Gates

    def show(self, evaluation: dict, only: set[str] | None = None) -> None:
        for row in evaluation["results"]:
            if only and row["criterion"] not in only:
                continue
            mark, code = MARKS[row["status"]]
            status = paint(f"{mark} {row['status'].replace('_', ' '):<15}", code)
            measured = number(row.get("value"))
            print(f"  {row['criterion']:<4}{status} {row['title'][:30]:<31}{measured:<30}"
                  f"{row.get('threshold') or '':<30.30} n {number(row.get('n'))}")
            if row["status"] in ("fail", "stale", "not_enough_data"):
                self.reason(row)

    def reason(self, row: dict) -> None:
        distance = row.get("distance")
        sentence = distance.get("sentence") if isinstance(distance, dict) else distance
        for text in (sentence, row.get("note"), row.get("fix") and f"fix: {row['fix']}"):
            if text:
                print(textwrap.fill(str(text), 96, initial_indent=" " * 8, subsequent_indent=" " * 8))

    def tally(self, evaluation: dict) -> str:
        counts: dict[str, int] = {}
        for row in evaluation["results"]:
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        parts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in sorted(counts.items()))
        return f"{'opens' if evaluation['opens'] else 'stays shut'} ({parts})"

    def lacks(self, evaluation: dict) -> None:
        rows = [r for r in evaluation["results"] if r["status"] in ("fail", "stale", "not_enough_data")]
        for status in ("fail", "stale", "not_enough_data"):
            names = [f"{r['criterion']} {r['title']}" for r in rows if r["status"] == status]
            if names:
                print(textwrap.fill(
                    f"{status.replace('_', ' ')}: {'; '.join(names)}", 100,
                    initial_indent="    ", subsequent_indent="      ",
                ))

    def review(self, evaluation: dict) -> bool:
        """Asks for the gate; two people sign the same evaluation, each with the risk that remains."""
        if not evaluation["opens"]:
            return False
        self.chapter("Two people sign what they have read, and the gate is evaluated once more")
        review = self.tom.post(f"/api/v1/projects/{PROJECT}/reviews")
        review = review.get("review", review)
        statements = {
            "bea": ("business_owner", "Loyal customers who are skipped may feel forgotten: we watch complaints."),
            "dan": ("data_owner", "Age drives the list; marketing is the only purpose these columns may serve."),
        }
        for name, (role, statement) in statements.items():
            answer = self.others[name].post(
                f"/api/v1/reviews/{review['id']}/signatures", {"role": role, "statement": statement}
            )
            self.say(f"{name} ({role}): {statement}")
            review = answer.get("review", answer)
        project = self.tom.get(f"/api/v1/projects/{PROJECT}")
        project = project.get("project", project)
        self.say(f"the review is {review['state']}; the project's stage is {project['stage']}")
        return project["stage"] == "pilot"

    # Trial

    def register_trial(self, starts_at: str) -> None:
        trial = self.tom.post(f"/api/v1/projects/{PROJECT}/trials", {"starts_at": starts_at})
        trial = trial.get("trial", trial)
        self.say(f"trial `{trial['name']}` registered, plan {str(trial['plan_hash'])[:19]}…")

    def estimates(self, design: str) -> list[dict]:
        found = items(self.tom.get(f"/api/v1/projects/{PROJECT}/estimates"), "estimates", "items")
        return [estimate for estimate in found if estimate["design"] == design]

    def estimate(self) -> dict:
        found = self.estimates("trial")
        if not found:
            raise SystemExit("the server has no estimate of the trial yet: see the project's page")
        return found[0]

    def shadow_estimate(self) -> dict | None:
        return next(iter(self.estimates("shadow")), None)

    def page(self) -> str:
        return f"{self.url}/projects/{PROJECT}"
