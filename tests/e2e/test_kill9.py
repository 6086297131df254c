"""Whatever was acknowledged is there after kill -9, on both databases."""

import threading
import time
import urllib.error

from conftest import ROOT

EXAMPLE = ROOT / "examples/term-deposit/viaduct.yaml"
CLIENTS = 50


class Client(threading.Thread):
    """Sends a prediction, then its outcome, and remembers what was acknowledged."""

    def __init__(self, server, number, stop):
        super().__init__(daemon=True)
        self.server, self.number, self.stop = server, number, stop
        self.decisions, self.outcomes = [], []

    def run(self):
        count = 0
        while not self.stop.is_set():
            count += 1
            lead = f"lead-{self.number}-{count}"
            row = ROW | {"lead_id": lead, "customer_id": f"customer-{self.number}"}
            try:
                answer = self.server.post("/api/v1/endpoints/term-deposit/predict", {"rows": [row]})
                if answer.status != 200:
                    continue
                decision = answer.json()["decisions"][0]["decision_id"]
                self.decisions.append((decision, lead))
                outcome = {"decision_id": decision, "label": True, "value": 60.0}
                if self.server.post("/api/v1/outcomes", [outcome]).status < 300:
                    self.outcomes.append(decision)
            except (OSError, urllib.error.URLError, ValueError):
                return


NUMBERS = ["age", "campaign", "pdays", "previous", "emp_var_rate", "cons_price_idx", "cons_conf_idx",
           "euribor3m", "nr_employed"]
TEXTS = ["job", "marital", "education", "default", "housing", "loan", "contact", "month", "day_of_week",
         "poutcome"]
ROW = {name: 1.5 for name in NUMBERS} | {name: "unknown" for name in TEXTS} | {
    "lead_id": "lead-0", "customer_id": "customer-0"}


def test_acknowledged_decisions_and_outcomes_survive(servers, database):
    server = servers("data", *database)
    server.run("apply", "-f", EXAMPLE).ok()
    server.wait_for_endpoint("term-deposit")
    first = server.post("/api/v1/endpoints/term-deposit/predict", {"rows": [ROW]})
    assert first.status == 200, first.text
    stop = threading.Event()
    clients = [Client(server, number, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(2)
    server.kill9()
    stop.set()
    for client in clients:
        client.join(30)
    decisions = [d for client in clients for d in client.decisions]
    outcomes = [o for client in clients for o in client.outcomes]
    assert len(decisions) > CLIENTS and len(outcomes) > CLIENTS, (len(decisions), len(outcomes))
    server.start()
    for decision, lead in decisions:
        answer = server.get(f"/api/v1/decisions/{decision}")
        assert answer.status == 200, f"{decision} of {lead} was acknowledged and is gone"
    known = set(outcomes)
    for decision in known:
        shown = server.get(f"/api/v1/decisions/{decision}").json()
        assert shown["outcomes"], f"the outcome of {decision} was acknowledged and is gone"
