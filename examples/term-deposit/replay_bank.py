"""Replays a real campaign (UCI bank marketing, the "additional full" file) in its order.

Everyone was called, so the outcome of calling is known for every row; a skip costs and earns nothing.
Decisions are sent with `"replayed": true`: facts say so, and the grade is S (shadow) at most. It ends
at gate G1 with whatever is true.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from columns import FEATURES
from generate import CALL_BASE_EUR, CALL_PER_SECOND_EUR, MARGIN_EUR, minute_of_day
from replay import Replay, read_leads
from story import HERE, Story


def working_days(month: str) -> list[dt.date]:
    first = dt.date.fromisoformat(f"{month}-01")
    days = [first + dt.timedelta(days=d) for d in range(31)]
    return [day for day in days if day.month == first.month and day.weekday() < 5]


def dates(plan: dict) -> np.ndarray:
    """The day of every row, as the replay file declares it."""
    found = np.empty(plan["rows"], dtype=object)
    expected = 0
    for run in plan["months"]:
        if run["first"] != expected:
            raise SystemExit(f"bank_dates.yaml: rows {expected} to {run['first'] - 1} have no month")
        days, n = working_days(run["month"]), run["last"] - run["first"] + 1
        for i in range(n):
            found[run["first"] + i] = days[i * len(days) // n].isoformat()
        expected = run["last"] + 1
    if expected != plan["rows"]:
        raise SystemExit(f"bank_dates.yaml declares {expected} rows, not {plan['rows']}")
    return found


def read_campaign(path: Path, plan: dict) -> pd.DataFrame:
    rows = pd.read_csv(path, sep=";", keep_default_na=False)
    rows.columns = [name.replace(".", "_") for name in rows.columns]
    if len(rows) != plan["rows"] or not set(FEATURES) <= set(rows.columns):
        raise SystemExit(f"`{path}` is not bank_additional_full.csv: {len(rows)} rows, {plan['rows']} expected")
    rows["date"] = dates(plan)
    for run in plan["months"]:
        month = dt.date.fromisoformat(f"{run['month']}-01").strftime("%b").lower()
        if not (rows["month"].iloc[run["first"] : run["last"] + 1] == month).all():
            raise SystemExit(f"bank_dates.yaml: rows from {run['first']} on are not all of `{month}`")
    rows["lead_id"] = [f"R{i:05d}" for i in range(len(rows))]
    rows["customer_id"] = rows["lead_id"]  # the file does not name its people
    rows["y"] = (rows["y"] == "yes").astype(int)
    rows["value"] = (
        MARGIN_EUR * rows["y"] - CALL_BASE_EUR - CALL_PER_SECOND_EUR * rows["duration"]
    ).round(2)
    return rows


def write(rows: pd.DataFrame, plan: dict, out: Path) -> None:
    """The same three files that generate.py writes, from the real rows."""
    out.mkdir(parents=True, exist_ok=True)
    month = rows["date"].str.slice(0, 7)
    past = rows[month <= plan["past"]["last_month"]].copy()
    past["decided_at"] = minute_of_day(past)
    columns = ["lead_id", "customer_id", "decided_at", *FEATURES, "duration", "y", "value"]
    past[columns].to_csv(out / "past_cases.csv", index=False)
    daily = past.groupby("date")["value"].agg(["mean", "size"]).reset_index()
    daily.columns = ["date", "value", "n"]
    daily["value"] = daily["value"].round(4)
    daily.to_csv(out / "history.csv", index=False)
    later = rows[rows["date"] >= str(plan["shadow"]["first_day"])].copy()
    later["delay_days"] = plan["outcome_delay_days"]
    later["hidden_value_if_called"] = later["value"]
    later["hidden_value_if_skipped"] = 0.0
    later["hidden_y_if_called"] = later["y"]
    columns = ["lead_id", "customer_id", "date", *FEATURES, "delay_days"]
    columns += [name for name in later.columns if name.startswith("hidden_")]
    later[columns].to_csv(out / "leads.csv", index=False)


def project_file(plan: dict, out: Path) -> Path:
    text = (HERE / "viaduct.yaml").read_text()
    for before, after in plan["project"].items():
        if text.count(before) != 1:
            raise SystemExit(f"bank_dates.yaml: `{before}` stands {text.count(before)} times in viaduct.yaml")
        text = text.replace(before, after)
    path = out / "viaduct.yaml"
    path.write_text(text)
    return path


def run(args: argparse.Namespace) -> None:
    began = time.monotonic()
    plan = yaml.safe_load((HERE / "bank_dates.yaml").read_text())
    start = plan["shadow"]["first_day"]
    story = Story(args.server, args.password)
    story.expect_new_simulated_server()
    if story.now()[:10] >= str(start):
        raise SystemExit(
            f"the server's clock stands at {story.now()}, after the campaign: start it on a new data "
            f"directory with `viaduct server --clock simulated --clock-start 2008-09-01T00:00:00Z`"
        )
    out = args.work / "bank"
    out.mkdir(parents=True, exist_ok=True)
    (out / "replay.json").unlink(missing_ok=True)
    write(read_campaign(args.data, plan), plan, out)

    story.chapter("The project is a file. Nobody and nothing that it names exists yet")
    story.apply(project_file(plan, out))
    story.chapter("People, and the history of the campaign from May to August 2008")
    story.people()
    story.advance("2008-09-15T06:00:00Z")
    story.history(out / "history.csv")
    story.chapter("A first model, which reads how long the call took")
    story.train(out / "past_cases.csv", out / "leaky.onnx", "--leaky")
    story.show(story.collect(), only={"M1", "M3"})
    story.chapter("An honest model, trained on May to August 2008")
    story.train(out / "past_cases.csv", out / "model.onnx")
    story.show(story.collect(), only={"M1", "M3"})

    story.chapter("Shadow: the campaign of October 2008 to November 2010, row by row")
    replay = Replay(
        story.tom, story.consumer(), "term-deposit", read_leads(out / "leads.csv"),
        out / "replay.json", replayed=True,
    )
    replay.state["next_day"] = str(start)
    last = plan["shadow"]["last_day"]
    for stop, why in [*sorted(plan["looks"].items()), (last, None)]:
        days = (stop - dt.date.fromisoformat(replay.state["next_day"])).days
        replay.live(days, f"until {stop}")
        if why:
            story.say(f"G1 {why}:")
            story.show(story.collect(), only={"S1", "A4"})
    story.chapter("Is it worth a measured pilot? Gate G1, with whatever is true")
    story.reproduce()
    story.sign_in_all()
    evaluation = story.collect()
    story.show(evaluation)
    story.say("")
    shadow = story.shadow_estimate()
    if shadow:
        story.say(
            f"effect in shadow {shadow['estimate']:+.2f} EUR a lead "
            f"[{shadow['lower']:+.2f}, {shadow['upper']:+.2f}], grade {shadow['grade']}, replayed"
        )
    story.say(f"G1 says: {story.tally(evaluation)}")
    story.lacks(evaluation)
    story.say(f"look at it: {story.page()}   (sign in as bea, password {story.password})")
    story.say(f"took {time.monotonic() - began:.0f} s")
