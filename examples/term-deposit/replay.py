#!/usr/bin/env python3
"""Lives the days of the call centre against a server that runs on the simulated clock.

Each day: the clock moves to the morning, outcomes that have become known are posted, the day's leads
are asked for, and the answered action (`call` or `skip`) is carried out. What follows is read from the
lead's hidden potential outcomes: that of the action taken, never of the other one. A skipped lead
gets its outcome too (value 0), after the same delay.

The state (next day, outcomes still to come) is written to a file, so a replay can be stopped and goes
on where it was.

  replay.py --server URL --key KEY --days 42      the next 42 days with new leads
  replay.py --server URL --key KEY --days 21 --no-leads   only outcomes
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import os
from collections import Counter
from pathlib import Path

from client import Progress, Server, items
from columns import CATEGORICAL, FEATURES

HERE = Path(__file__).resolve().parent
MORNING = "08:00:00Z"
BATCH = 500


def read_leads(path: Path) -> dict[str, list[dict]]:
    """The stream by day. Numbers become numbers, hidden columns are kept apart."""
    days: dict[str, list[dict]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            features = {
                name: row[name] if name in CATEGORICAL else float(row[name]) for name in FEATURES
            }
            days.setdefault(row["date"], []).append({
                "lead_id": row["lead_id"],
                "customer_id": row["customer_id"],
                "features": features,
                "delay_days": int(row["delay_days"]),
                "value_if_called": float(row["hidden_value_if_called"]),
                "value_if_skipped": float(row["hidden_value_if_skipped"]),
                "label_if_called": int(row["hidden_y_if_called"]),
            })
    return days


class Replay:
    """The call centre: asks, acts, and reports what came of it."""

    def __init__(
        self, admin: Server, desk: Server, endpoint: str, leads: dict[str, list[dict]],
        state: Path, replayed: bool = False,
    ):
        self.admin, self.desk, self.endpoint, self.leads = admin, desk, endpoint, leads
        self.path, self.replayed = state, replayed
        # `due`: by day, outcomes to post; `log`: what was answered for each lead.
        self.state = {"next_day": min(leads), "due": {}, "log": {}, "posted": 0}
        if state.exists():
            self.state = json.loads(state.read_text())

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps(self.state))
        os.replace(draft, self.path)

    def live(self, days: int, title: str, with_leads: bool = True) -> Counter:
        """Lives `days` days and returns counts of arms and actions."""
        counts: Counter = Counter()
        bar = Progress(title, days)
        for done in range(1, days + 1):
            today = self.state["next_day"]
            leads = self.leads.get(today, []) if with_leads else []
            is_due = any(day <= today for day in self.state["due"])
            # On a day without work the clock may stay: the server stops at every schedule by itself.
            if leads or is_due or done == days:
                self.admin.post("/api/v1/clock/advance", {"to": f"{today}T{MORNING}"})
                self.report(today)
                self.ask(leads, today, counts)
            tomorrow = dt.date.fromisoformat(today) + dt.timedelta(days=1)
            self.state["next_day"] = tomorrow.isoformat()
            if done % 7 == 0 or done == days:
                self.save()
            bar.update(done, f"{today}  {counts['leads']} leads, {self.state['posted']} outcomes")
        return counts

    def report(self, today: str) -> None:
        """Posts every outcome that is known by this morning."""
        known = sorted(day for day in self.state["due"] if day <= today)
        outcomes = [outcome for day in known for outcome in self.state["due"][day]]
        for at in range(0, len(outcomes), BATCH):
            self.desk.post("/api/v1/outcomes", {"outcomes": outcomes[at : at + BATCH]})
        for day in known:
            del self.state["due"][day]
        self.state["posted"] += len(outcomes)

    def ask(self, leads: list[dict], today: str, counts: Counter) -> None:
        for at in range(0, len(leads), BATCH):
            batch = leads[at : at + BATCH]
            rows = [
                lead["features"]
                | {"lead_id": lead["lead_id"], "customer_id": lead["customer_id"], "desk": "call"}
                for lead in batch
            ]
            answer = self.desk.post(f"/api/v1/endpoints/{self.endpoint}/predict", {
                "rows": rows, "entity": "customer_id", "keys": ["lead_id"],
                "incumbent": "desk", "replayed": self.replayed,
            })
            for lead, decision in zip(batch, items(answer, "decisions"), strict=True):
                self.act(today, lead, decision, counts)

    def act(self, today: str, lead: dict, decision: dict, counts: Counter) -> None:
        """Carries out the answered action and notes when its outcome will be known."""
        action = decision["action"]
        if action not in ("call", "skip"):
            raise SystemExit(f"lead {lead['lead_id']}: the answer's action is {action!r}")
        called = action == "call"
        day = dt.date.fromisoformat(today) + dt.timedelta(days=lead["delay_days"])
        outcome = {
            "decision_id": decision["decision_id"],
            "value": lead["value_if_called"] if called else lead["value_if_skipped"],
            "occurred_at": f"{day.isoformat()}T{MORNING}",
            "status": "final",
            "source": "call-centre",
        }
        if called:
            outcome["label"] = lead["label_if_called"]
        self.state["due"].setdefault(day.isoformat(), []).append(outcome)
        self.state["log"][lead["lead_id"]] = [today, decision.get("variant"), action]
        counts["leads"] += 1
        counts[f"{decision.get('variant')}/{action}"] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=os.environ.get("VIADUCT_SERVER", "http://127.0.0.1:7878"))
    parser.add_argument("--user", default="tom", help="an admin, who may move the clock")
    parser.add_argument("--password", default=os.environ.get("VIADUCT_PASSWORD", ""))
    parser.add_argument("--key", help="the consumer's key; without it the user asks")
    parser.add_argument("--endpoint", default="term-deposit")
    parser.add_argument("--leads", type=Path, default=HERE / "data" / "leads.csv")
    parser.add_argument("--state", type=Path, default=HERE / ".state" / "replay.json")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--no-leads", action="store_true", help="only let outcomes come in")
    args = parser.parse_args()
    admin = Server.as_user(args.server, args.user, args.password) if args.password else Server(args.server)
    desk = Server.with_key(args.server, args.key) if args.key else admin
    replay = Replay(admin, desk, args.endpoint, read_leads(args.leads), args.state)
    counts = replay.live(args.days, "replay", with_leads=not args.no_leads)
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
