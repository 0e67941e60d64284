"""Review, learning and figures at the console, against the real simulator."""

from __future__ import annotations

import httpx

from handoff.app.lines import owe
from handoff.core.model import (
    Candidate,
    CandidateKind,
    CandidateStatus,
    LearningRun,
    OutboxKind,
    Release,
    ReleaseStatus,
    RunStatus,
    new_id,
)
from tests.console.desk import GROUP, Desk
from tests.console.test_conversation import with_button
from tests.fakes import ANA, LEA, RITA


async def proposed(desk: Desk, **fields) -> Candidate:
    """Store a candidate and owe its card, as the learning job of another process does."""
    conversation = await desk.asks_unknown()
    handoff = await desk.handoff(conversation)
    values = {
        "id": new_id(), "kind": CandidateKind.EXAMPLE, "handoff_id": handoff.id,
        "message_ids": (), "texts": ("where is it <3 [a](b)?",), "intent": "faq", "answer": "",
        "dedupe_key": new_id(), "created_at": desk.clock.now(), "proposed_intent": "faq",
    }  # fmt: skip
    candidate = Candidate(**{**values, **fields})
    async with desk.store() as work:
        await work.candidates.add(candidate)
        payload, key = {"candidate_id": candidate.id}, f"review:new:{candidate.dedupe_key}"
        await owe(work, OutboxKind.REVIEW, payload, key, desk.clock.now(), "review")
        await work.commit()
    return candidate


async def candidate(desk: Desk, id: str) -> Candidate:
    async with desk.store() as work:
        return await work.candidates.get(id)


async def test_a_reviewer_accepts_relabels_and_rejects(desk: Desk) -> None:
    first = await proposed(desk)
    second = await proposed(desk, texts=("send it back",))
    third = await proposed(
        desk, kind=CandidateKind.ANSWER, texts=("two gift cards?",), answer="Yes, up to two."
    )
    topic = await desk.topic("Review")
    shown = await desk.sees(topic, "where is it <3 [a](b)?")
    refused = await desk.press(ANA.id, shown, "Accept")
    assert refused["show_alert"] and refused["text"] == "This needs the role reviewer."
    await desk.press(RITA.id, shown, "Accept")
    await desk.sees(topic, "Accepted as “faq” by Rita")
    assert not await with_button(desk, topic, "Learn now")
    # Relabelled through the list of all intents.
    await desk.press(RITA.id, await desk.sees(topic, "send it back"), "Other intent…")
    await desk.settled()
    listed = await with_button(desk, topic, "get refund")
    assert listed
    await desk.press(RITA.id, listed, "get refund")
    await desk.sees(topic, "Accepted as “get refund” (proposed: “faq”) by Rita")
    answer = await desk.sees(topic, "Yes, up to two.")
    await desk.press(LEA.id, answer, "Reject")
    await desk.sees(topic, "Rejected by Lea")
    statuses = [(await candidate(desk, c.id)).status.value for c in (first, second, third)]
    assert statuses == ["accepted", "accepted", "rejected"]
    assert (await candidate(desk, second.id)).intent == "get_refund"
    # The last judgement says what comes next; a reviewer need not wait for the night.
    notice = await desk.sees(topic, "2 candidates are accepted")
    assert (await desk.press(ANA.id, notice, "Learn now"))["show_alert"]
    await desk.press(RITA.id, notice, "Learn now")
    await desk.sees(topic, "A learning run has been asked for.")
    assert desk.learning_asked == 1
    await desk.settled()
    cards = [m for m in await desk.messages(topic) if "to learn?" in m["text"]]
    assert len(cards) == 3 and not any(m["buttons"] for m in cards)


async def test_who_comes_second_is_told_what_was_decided(desk: Desk) -> None:
    made = await proposed(desk)
    shown = await desk.sees(await desk.topic("Review"), "An example to learn?")
    await desk.settled()
    async with desk.store() as work:
        taken = await work.candidates.get(made.id)
        taken.status, taken.reviewer_name = CandidateStatus.REJECTED, "Rita"
        await work.candidates.save(taken)
        await work.commit()
    late = await desk.press(LEA.id, shown, "Accept")
    assert late["show_alert"] and late["text"] == "Rita has already decided: rejected."


async def test_the_leads_get_a_digest(desk: Desk) -> None:
    now = desk.clock.now()
    run = LearningRun(
        new_id(), now, now, status=RunStatus.PROMOTED, mined=1, learned=1,
        figures_before={"accuracy": 0.9}, figures_after={"accuracy": 0.925}, verdict="Passed.",
        finished_at=now,
    )  # fmt: skip
    made = await proposed(desk)
    await desk.settled()
    release = Release(new_id(), now, "m", "l", ReleaseStatus.CURRENT, run_id=run.id)
    async with desk.store() as work:
        await work.runs.add(run)
        await work.releases.add(release)
        learned = await work.candidates.get(made.id)
        learned.status, learned.release_id = CandidateStatus.LEARNED, release.id
        await work.candidates.save(learned)
        payload = {"run_id": run.id}
        await owe(work, OutboxKind.DIGEST, payload, f"digest:{run.id}", now, "digest")
        await work.commit()
    digest = await desk.sees(await desk.topic("Learning digest"), "The bot has learned")
    for shown in ("90.0 % → 92.5 %", "Passed.", "where is it <3 [a](b)?", "handoff rollback"):
        assert shown in digest["text"]


async def test_figures_for_leads_only_with_a_picture(desk: Desk) -> None:
    await desk.asks_unknown()
    await desk.writes(ANA.id, 0, "/stats")
    await desk.sees(0, "This needs the role lead.")
    await desk.writes(LEA.id, 0, "/stats many")
    await desk.sees(0, "from 1 to 365")
    await desk.writes(LEA.id, 0, "/stats 30")
    sent = await desk.sees(0, "The last 30 days")
    assert "Handoffs: 1" in sent["text"] and "1 × not understood" in sent["text"]
    async with httpx.AsyncClient() as web:
        picture = (await web.get(desk.url + sent["photo"])).content
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


async def test_review_and_learn_by_command(desk: Desk) -> None:
    await proposed(desk)
    for person, text in ((ANA, "/review"), (ANA, "/learn"), (RITA, "/review"), (RITA, "/learn")):
        await desk.writes(person.id, 0, text)
    await desk.sees(0, "Waiting for review: 1. ")
    await desk.sees(0, "A learning run has been asked for.")
    refused = [m for m in await desk.messages(0) if "needs the role reviewer" in m["text"]]
    assert len(refused) == 2 and desk.learning_asked == 1


async def test_in_private_a_person_of_the_desk_is_helped(desk: Desk) -> None:
    await desk.do("messages", user_id=LEA.id, chat_id=LEA.id, text="/start")
    helped = await desk.sees(0, "/stats", chat=LEA.id)
    assert "/claim" in helped["text"] and helped["chat_id"] != GROUP
