"""`make bench`: what the desk costs and carries, on one machine, in one run.

The encoder and one decision are measured by themselves first. Then a whole desk is started with
`handoff up` in folders of its own. Figures compare within the run: the overhead of the gateway is a
ratio of two medians measured turn about.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import httpx

from tests.bench.deciding import deciding
from tests.bench.encoder import encoding
from tests.bench.stopwatch import milliseconds
from tests.e2e.desk import ANA, RITA, Customer, Desk, running_desk, until

TURNS = 60
RELAYS = 60
CUSTOMERS = 12
MESSAGES_EACH = 10
QUESTIONS = (
    "hello",
    "what delivery options do you have?",
    "how can I pay?",
    "do you send invoices?",
    "how long does delivery take?",
)


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return quantiles(values, n=100, method="inclusive")[98]


def overhead(desk: Desk) -> dict[str, float]:
    """Compare a bot turn through the gateway with the same turn sent to Rasa directly."""
    gateway = httpx.Client(base_url=desk.url, timeout=30)
    rasa = httpx.Client(base_url=f"http://127.0.0.1:{desk.rasa_port}", timeout=30)
    took: dict[str, list[float]] = {"gateway": [], "rasa": []}
    for number in range(TURNS):
        text = QUESTIONS[number % len(QUESTIONS)]
        for name, client in (("gateway", gateway), ("rasa", rasa)):
            body = {"sender": f"bench-{number}", "message": text}

            def turn(client: httpx.Client = client, body: dict[str, str] = body) -> None:
                answer = client.post("/webhooks/rest/webhook", json=body)
                assert answer.status_code == 200 and answer.json(), answer.text

            took[name].append(milliseconds(turn))
    warm = {name: values[len(QUESTIONS) :] for name, values in took.items()}
    return {
        "turn_gateway_p50_ms": median(warm["gateway"]),
        "turn_rasa_p50_ms": median(warm["rasa"]),
        "turn_overhead_ratio": median(warm["gateway"]) / median(warm["rasa"]),
    }


def claimed(desk: Desk, customer: Customer, subject: str) -> int:
    """Bring a customer to Ana; return the topic."""
    ana = desk.person(ANA)
    customer.write(f"I want to talk to a human about {subject}")
    customer.reads("system", contains="colleague")
    topic = ana.topic(subject)
    ana.press(ana.sees(topic, "Waiting for a person"), "Claim")
    customer.reads("system", contains="has joined")
    return topic


class Watcher:
    """Notes when texts appear in the simulator, by its stream of changes."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/sim", timeout=70)
        self.seen: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        after = self._http.get("/changes").json()["last"]
        while not self._stop.is_set():
            answer = self._http.get("/changes", params={"after": after, "timeout": 1}).json()
            now = time.perf_counter()
            after = answer["last"]
            for change in answer["changes"]:
                message = change.get("message")
                if message and change["kind"] == "message":
                    self.seen.setdefault(message["text"], now)

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(5)


@contextmanager
def stream(desk: Desk, customer: Customer) -> Iterator[dict[str, float]]:
    """Note when agents' texts reach the customer's event stream."""
    seen: dict[str, float] = {}
    stop = threading.Event()

    def read() -> None:
        path = f"{desk.url}/v1/chat/{customer.session}/events"
        with httpx.stream("GET", path, timeout=None) as answer:
            for line in answer.iter_lines():
                if stop.is_set():
                    return
                if line.startswith("data:") and '"agent"' in line:
                    data = json.loads(line[5:])
                    seen.setdefault(data.get("text", ""), time.perf_counter())

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()


def relay(desk: Desk) -> dict[str, float]:
    """Measure both ways between a customer and the agent who has the conversation."""
    customer, ana = desk.customer(), desk.person(ANA)
    topic = claimed(desk, customer, "relay bench")
    watcher = Watcher(desk.sim_url)
    inward: list[float] = []
    for number in range(RELAYS):
        text = f"to the console {number}"
        began = time.perf_counter()
        customer.write(text)
        until(lambda text=text: text in watcher.seen, text)
        inward.append((watcher.seen[text] - began) * 1000)
    watcher.close()
    outward: list[float] = []
    with stream(desk, customer) as seen:
        for number in range(RELAYS):
            text = f"to the customer {number}"
            began = time.perf_counter()
            ana.write(topic, text)
            until(lambda text=text: text in seen, text)
            outward.append((seen[text] - began) * 1000)
    return {
        "customer_to_console_p50_ms": median(inward),
        "customer_to_console_p99_ms": p99(inward),
        "console_to_customer_p50_ms": median(outward),
        "console_to_customer_p99_ms": p99(outward),
    }


def throughput(desk: Desk) -> dict[str, float]:
    """Send from many customers at once; every message must be stored and answered."""
    customers = [desk.customer() for _ in range(CUSTOMERS)]

    def talk(customer: Customer) -> None:
        for number in range(MESSAGES_EACH):
            customer.write(f"{QUESTIONS[number % len(QUESTIONS)]}")

    def answered(customer: Customer) -> bool:
        lines = customer.lines()
        asked = sum(line["author"] == "customer" for line in lines)
        last_is_answer = lines[-1]["author"] != "customer" or customer.owner()["state"] != "bot"
        return asked == MESSAGES_EACH and last_is_answer

    began = time.perf_counter()
    with ThreadPoolExecutor(CUSTOMERS) as pool:
        list(pool.map(talk, customers))
    for customer in customers:
        until(lambda customer=customer: answered(customer), "every message is answered", 120)
    seconds = time.perf_counter() - began
    lost = sum(
        MESSAGES_EACH - sum(line["author"] == "customer" for line in customer.lines())
        for customer in customers
    )
    return {"messages_a_second": CUSTOMERS * MESSAGES_EACH / seconds, "messages_lost": lost}


def learning(desk: Desk) -> dict[str, float]:
    """Time from `handoff learn` (with one accepted candidate) to the new model answering."""
    question, answer = "do you sell tickets for the garden show", "Yes, at the desk in the hall."
    customer, ana, rita = desk.customer(), desk.person(ANA), desk.person(RITA)
    customer.write(question)
    customer.reads("system", contains="colleague")
    topic = ana.topic("garden show")
    ana.press(ana.sees(topic, "Waiting for a person"), "Claim")
    customer.reads("system", contains="has joined")
    ana.write(topic, answer)
    customer.reads("agent")
    ana.press(ana.sees(topic, "With Ana"), "Resolve")
    ana.press(ana.sees(topic, "Resolved by"), "New topic")
    ana.press(ana.sees(topic, "a new topic"), "Handoff was needed")
    ana.sees(topic, "needed?  yes")
    desk.run("learn")
    review = rita.topic("review")
    rita.press(rita.sees(review, question), "Accept")
    rita.sees(review, "Accepted")
    began = time.perf_counter()
    desk.run("learn")

    def knows() -> bool:
        return desk.customer().asks("are there tickets for the garden show") == answer

    assert knows(), "the new model does not know the answer"
    return {"learn_to_answer_s": time.perf_counter() - began}


def main() -> int:
    """Run all benchmarks and print a table and one JSON object."""
    print("… encoding", file=sys.stderr, flush=True)
    figures = encoding()
    print("… deciding", file=sys.stderr, flush=True)
    figures |= deciding()
    with tempfile.TemporaryDirectory() as folder, running_desk(Path(folder)) as desk:
        for part in (overhead, relay, throughput, learning):
            print(f"… {part.__name__}", file=sys.stderr, flush=True)
            figures |= part(desk)
        began = time.perf_counter()
        desk.stop()
        figures["stop_s"] = time.perf_counter() - began
        figures["start_again_s"] = desk.start()
    for name, value in figures.items():
        print(f"{name:32} {value:10.2f}")
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
