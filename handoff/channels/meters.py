"""Counters of this process, in the registry that `/metrics` shows."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """What is counted while the gateway runs; each application has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "handoff_messages",
            "Customer messages stored by this process, each once.",
            ["channel"],
            registry=self.registry,
        )
        self.decisions = Counter(
            "handoff_decisions",
            "Decisions about messages received by this process, by action and weightiest reason.",
            ["action", "reason"],
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "handoff_turn_seconds",
            "Time from a stored message to its decision and answer, in seconds.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
            registry=self.registry,
        )
        self.failed_turns = Counter(
            "handoff_failed_turns",
            "Turns that ended in an error and were left to the sweep.",
            registry=self.registry,
        )
        self.outbox_waiting = Gauge(
            "handoff_outbox_waiting",
            "Items that wait to be sent to Telegram.",
            registry=self.registry,
        )
        self.conversations = Gauge(
            "handoff_conversations",
            "Conversations that are waiting for a person or with one.",
            ["state"],
            registry=self.registry,
        )
