#!/usr/bin/env python3
"""The whole story against a server on the simulated clock: from an empty server to a measured effect.

Every number printed comes from the server's answers, except the line `the truth`, which comes from
the generated people (truth.py) and which the server never sees.

  viaduct server --data-dir DIR --clock simulated &
  demo.py --server http://127.0.0.1:7878
  demo.py --server http://127.0.0.1:7878 --data bank_additional_full.csv     the real campaign
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import time
from pathlib import Path

import generate
from client import Server, ServerSays
from replay import Replay, read_leads
from story import HERE, Story, money

SHADOW_DAYS = 42
TRIAL_DAYS = 42
THRESHOLD = 0.15  # of the rule in viaduct.yaml; only for the truth


def first_monday(now: str) -> dt.date:
    """The example's own start, or the first Monday after the server's clock, which never goes back."""
    today = dt.date.fromisoformat(now[:10])
    own = dt.date.fromisoformat(generate.START)
    return own if own > today else today + dt.timedelta(days=7 - today.weekday())


def begin(story: Story, data: Path, seed: int) -> None:
    """An empty server: the project first, then people, then history."""
    story.chapter("The project is a file. Nobody and nothing that it names exists yet")
    story.apply(HERE / "viaduct.yaml")
    story.chapter("People")
    story.people()
    story.chapter("History of the incumbent, which calls everyone")
    truth = generate.write(data, seed, first_monday(story.now()))
    story.advance(f"{truth['start']}T06:00:00Z")
    story.history(data / "history.csv")


def train(story: Story, data: Path) -> None:
    story.chapter("A first model, which reads how long the call took")
    story.train(data / "past_cases.csv", data / "leaky.onnx", "--leaky")
    story.show(story.collect(), only={"D1", "M1", "M3"})
    story.chapter("An honest model")
    story.train(data / "past_cases.csv", data / "model.onnx")
    story.show(story.collect(), only={"D1", "M1", "M3"})


def shadow(story: Story, replay: Replay, maturity: int) -> dict:
    story.chapter("Shadow: the desk calls everyone as before; the model's answer is logged beside")
    replay.live(SHADOW_DAYS, "six weeks")
    replay.live(maturity + 1, "until outcomes are known")
    story.chapter("Is it worth a measured pilot? Gate G1")
    story.reproduce()
    story.sign_in_all()
    evaluation = story.collect()
    story.show(evaluation)
    return evaluation


def trial(story: Story, replay: Replay, maturity: int, data: Path) -> dict:
    story.chapter("Pilot: half of the customers are held out; the plan is registered first")
    story.register_trial(f"{replay.state['next_day']}T00:00:00Z")
    replay.state["log"] = {}
    counts = replay.live(TRIAL_DAYS, "six weeks of trial")
    story.say(", ".join(f"{name} {n}" for name, n in sorted(counts.items()) if name != "leads"))
    log = dict(replay.state["log"])
    replay.live(maturity + 1, "until outcomes are known")
    import truth

    return truth.of_trial(data, data / "model.onnx", THRESHOLD, log)


def report(story: Story, g1: dict, truth: dict, began: float) -> None:
    evaluation = story.collect()
    estimate = story.estimate()
    story.chapter("What was measured")
    lower, upper = estimate["lower"], estimate["upper"]
    inside = lower <= truth["effect"] <= upper
    story.say(f"effect     {money(estimate['estimate'])} EUR a lead against calling everyone")
    story.say(f"interval   {money(lower)} to {money(upper)} ({estimate['level']:.0%}), n {estimate['n']}")
    story.say(f"grade      {estimate['grade']}   verdict {estimate['verdict']}")
    story.say(
        f"the truth  {money(truth['effect'])} EUR over these {truth['leads']} leads "
        f"(in expectation {money(truth['effect_expected'])}): the interval "
        + ("covers it" if inside else "misses it, as one in twenty does")
    )
    story.say(
        f"           the champion's {truth['champion_leads']} actions against the ONNX file run here: "
        f"{truth['actions_that_differ_from_onnx']} differ"
    )
    story.chapter("Gates")
    story.say(f"G1 said: {story.tally(g1)}")
    story.say(f"G2 says: {story.tally(evaluation)}; it still lacks")
    story.lacks(evaluation)
    story.say("")
    story.say(f"look at it: {story.page()}   (sign in as bea, password {story.password})")
    story.say(f"took {time.monotonic() - began:.0f} s")


def run(args: argparse.Namespace) -> None:
    began = time.monotonic()
    story = Story(args.server, args.password)
    story.expect_new_simulated_server()
    args.work.mkdir(parents=True, exist_ok=True)
    (args.work / "replay.json").unlink(missing_ok=True)
    begin(story, args.work, args.seed)
    train(story, args.work)
    replay = Replay(
        story.tom, story.consumer(), "term-deposit", read_leads(args.work / "leads.csv"),
        args.work / "replay.json",
    )
    g1 = shadow(story, replay, generate.MATURITY_DAYS)
    if not story.review(g1):
        story.say("The gate stays shut, so there is no pilot to measure.")
        story.lacks(g1)
        raise SystemExit(1)
    truth = trial(story, replay, generate.MATURITY_DAYS, args.work)
    report(story, g1, truth, began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default=os.environ.get("VIADUCT_SERVER", "http://127.0.0.1:7878"))
    parser.add_argument("--cli", type=Path, help="path of the `viaduct` binary, for the hints printed")
    parser.add_argument("--data", type=Path, help="bank_additional_full.csv: replay the real campaign")
    parser.add_argument("--work", type=Path, default=HERE / "data", help="where data files go")
    parser.add_argument("--seed", type=int, default=generate.SEED)
    parser.add_argument("--password", default="viaduct-demo", help="of the people who are added")
    args = parser.parse_args()
    try:
        if args.data:
            import replay_bank

            replay_bank.run(args)
        else:
            run(args)
    except ServerSays as refusal:
        print(f"\nthe server says: {refusal}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
