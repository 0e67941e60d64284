"""One customer, one agent, one night: the whole loop on real processes, over HTTP only.

The parts are Rasa, the action server, the gateway with python-telegram-bot, and the Bot API
simulator, all started by `handoff up`. The steps are those of the tour in README.md.
"""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from handoff.app.clarify import question
from handoff.app.phrases import (
    FAREWELL,
    NEXT_REQUEST,
    NOT_IT,
    ONE_BY_ONE,
    PROMPT,
)
from handoff.core.policy import Policy
from tests.e2e.desk import ANA, BO, LEA, RITA, SAM, Customer, Desk, running_desk, until
from tests.environment import require_rasa

pytestmark = [pytest.mark.rasa, pytest.mark.timeout(1500)]

QUESTION = "can I use two gift cards at once?"
AGAIN = "is it possible to use 2 gift cards for one purchase"
ANSWER = "Yes, you can combine up to two gift cards in one order: enter them one after the other."


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    require_rasa()
    with running_desk(tmp_path_factory.mktemp("desk")) as running:
        yield running


def press_together(desk: Desk, card: dict, button: str, *people: int) -> dict[int, dict]:
    """Let several people press one button at the same moment; return what each was told."""
    gate, told = threading.Barrier(len(people)), {}

    def press(number: int) -> None:
        person = desk.person(number)
        gate.wait()
        told[number] = person.press(card, button)

    threads = [threading.Thread(target=press, args=(number,)) for number in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return told


def test_one_customer_one_agent_one_night(desk: Desk) -> None:
    ana, rita, lea = desk.person(ANA), desk.person(RITA), desk.person(LEA)

    # 1. The bot answers from the order store.
    customer = desk.customer()
    assert "10042" in customer.asks("where is my order 10042?")
    assert customer.owner()["state"] == "bot"

    # 2. It does not know about gift cards: a topic opens with a card that says why.
    customer.write(QUESTION)
    customer.reads("system", contains="colleague")
    topic = ana.topic("gift cards")
    card = ana.sees(topic, "Waiting for a person")
    why = ("Why a person", "new to the bot", "%", "What the bot understood", "Mood")
    for shown in why:
        assert shown in card["text"], card["text"]
    assert QUESTION in card["text"] and "where is my order 10042?" in card["text"]

    # 3. Two agents claim at once: one gets it, the other is told who did.
    told = press_together(desk, card, "Claim", ANA, BO)
    customer.reads("system", contains="has joined")
    winner = ANA if customer.owner()["person"] == "Ana" else BO
    loser = BO if winner == ANA else ANA
    names = {ANA: "Ana", BO: "Bo"}
    assert customer.owner()["person"] == names[winner]
    assert names[winner] in told[loser]["text"] and told[loser]["show_alert"]
    agent, other = desk.person(winner), desk.person(loser)
    agent.sees(topic, f"With {names[winner]}")

    # From here the bot is silent, whatever is asked.
    before = len(customer.lines())
    customer.write("where is my order 10042?")
    agent.sees(topic, "where is my order 10042?")
    assert [line["author"] for line in customer.lines()[before:]] == ["customer"]

    # 4. Both write, in order; customer text is never markup; a note stays inside.
    for number in range(3):
        customer.write(f"line {number} <3 _*[a](b) /start\nsecond line")
    agent.sees(topic, "line 2 <3 _*[a](b) /start\nsecond line")
    texts = [m["text"] for m in agent.messages(topic)]
    lines = [text for text in texts if text.startswith("line ") or "\nline " in text]
    assert [text[text.index("line ") :][:6] for text in lines] == ["line 0", "line 1", "line 2"]
    other.write(topic, "I am not the owner of this")
    agent.write(topic, "/note the customer is a regular")
    agent.write(topic, ANSWER)
    agent.write(topic, "Anything else?")
    assert customer.reads("agent") == ANSWER
    assert customer.reads("agent") == "Anything else?"
    said = " ".join(line["text"] for line in customer.lines())
    assert "regular" not in said and "not the owner" not in said

    # A stranger gets no data and no say.
    stranger = desk.person(SAM).press(agent.sees(topic, f"With {names[winner]}"), "Resolve")
    assert stranger["text"] and "gift" not in stranger["text"]
    assert customer.owner()["state"] == "agent"

    # Resolve, and one tap of truth each.
    agent.press(agent.sees(topic, f"With {names[winner]}"), "Resolve")
    customer.reads("system", contains="closed")
    agent.press(agent.sees(topic, "Resolved by"), "New topic")
    agent.press(agent.sees(topic, "a new topic"), "Handoff was needed")
    agent.sees(topic, "needed?  yes")

    # 5. Learning: a candidate for review, then a better model.
    desk.run("learn")
    review = rita.topic("review")
    candidate = rita.sees(review, "A new answer to learn?")
    assert QUESTION in candidate["text"] and ANSWER in candidate["text"]
    refused = desk.person(ANA).press(candidate, "Accept")
    assert "reviewer" in refused["text"]
    rita.press(candidate, "Accept")
    rita.sees(review, "Accepted")
    before_learning = desk.model()
    desk.run("learn")
    digest = lea.topic("digest")
    news = lea.sees(digest, "→")
    assert "Passed" in news["text"], news["text"]
    assert desk.model() != before_learning
    learned = desk.training_data / "learned"
    assert "gift cards" in (learned / "nlu.yml").read_text()
    assert "Rita" in (learned / "provenance.jsonl").read_text()
    # Run again, it adds nothing twice.
    stock = {path.name: path.read_bytes() for path in learned.iterdir()}
    desk.run("learn")
    assert {path.name: path.read_bytes() for path in learned.iterdir()} == stock

    # 6. Asked again in other words, the bot gives the agent's answer; rollback takes it back.
    second = desk.customer()
    assert second.asks(AGAIN) == ANSWER
    desk.run("rollback")
    assert desk.model() == before_learning
    assert not (learned / "nlu.yml").exists() or "gift" not in (learned / "nlu.yml").read_text()
    assert desk.customer().asks(AGAIN) != ANSWER
    assert "colleague" in desk.customer().asks(QUESTION)

    # 7. The figures, as text and picture, for leads only.
    lea.write(topic, "/stats")
    stats = until(
        lambda: [m for m in lea.messages(topic) if m["photo"]], "a picture of the figures"
    )
    assert "new to the bot" in stats[-1]["text"].casefold(), stats[-1]["text"]
    picture = httpx.get(desk.sim_url + stats[-1]["photo"]).content
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000


VAGUE = (
    "any idea when 10042 gets here",
    "10042, any news?",
    "hm, and 10042?",
    "it is about my parcel 10042, where are we with the money and all that",
    "10042 arrival or refund",
)
"""About an order, and not clear: which of these a model asks back about may change with it."""


def asked_back(desk: Desk) -> tuple[Customer, str, dict[str, str]]:
    """Return a customer whom the bot has asked what was meant, their words, and the choices."""
    for text in VAGUE:
        customer = desk.customer()
        customer.asks(text)
        choices = {b["title"]: b["payload"] for b in customer.lines()[-1]["buttons"]}
        if "Where my order is" in choices:
            return customer, text, choices
    raise AssertionError(f"the bot asked back about none of {VAGUE}")


def test_a_question_back_is_settled_by_its_button(desk: Desk) -> None:
    """Rasa takes the intent and the order number from the button, and says how the order stands."""
    customer, text, choices = asked_back(desk)
    assert choices["Where my order is"] == '/track_order{"order_number": "10042"}'
    assert "10042" in customer.asks(choices["Where my order is"])
    own = [line["text"] for line in customer.lines() if line["author"] == "customer"]
    assert own == [text, "Where my order is"]
    assert customer.owner()["state"] == "bot"

    # The other way out: a person, who reads what was asked and offered.
    customer, text, choices = asked_back(desk)
    customer.write(choices["Something else, a person please"])
    customer.reads("system", contains="colleague")
    topic = desk.person(ANA).topic(text)
    card = desk.person(ANA).sees(topic, "Waiting for a person")["text"]
    for shown in (text, "▸ Where my order is", "▸ Something else, a person please"):
        assert shown in card, card
    assert "/track_order" not in card and "/contact" not in card


@pytest.mark.parametrize(
    "value",
    [
        "10042",
        'a "quoted" one',
        "{braces} }{ @0.5",
        "back\\slash",
        "two\nlines",
        "Zoë ☕ 订单",
        "/greet",
    ],
)
def test_rasa_reads_what_stands_on_a_button(desk: Desk, value: str) -> None:
    """Whatever a customer wrote, Rasa's own reader takes it from the payload as it was."""
    entities = (
        {"entity": "order_number", "value": value},
        {"entity": "order_number", "value": "7"},
    )
    payload = question(("track_order",), entities, {}, Policy().desk).buttons[0].payload
    answer = httpx.post(
        f"http://127.0.0.1:{desk.rasa_port}/model/parse", json={"text": payload}, timeout=20
    ).json()
    assert (answer["intent"]["name"], answer["intent"]["confidence"]) == ("track_order", 1.0)
    assert [e["value"] for e in answer["entities"]] == [value, "7"]


def test_while_the_bot_waits_only_an_answer_is_let_through(desk: Desk) -> None:
    """Rasa's domain says what its slot takes: a number, and not a question about something else."""
    customer = desk.customer()
    assert "five digits" in customer.asks("where is my order?")
    assert "10042" in customer.asks("10042")
    customer = desk.customer()
    customer.asks("where is my order?")
    customer.write("do you wrap gifts in paper?")
    customer.reads("system", contains="colleague")
    topic = desk.person(ANA).topic("wrap gifts")
    desk.person(ANA).sees(topic, "This seems new to the bot")


def test_rasa_says_which_model_judged_a_message(desk: Desk) -> None:
    rasa = f"http://127.0.0.1:{desk.rasa_port}"
    in_use = httpx.get(f"{rasa}/status", timeout=20).json()["model_id"]
    judged = httpx.post(f"{rasa}/model/parse", json={"text": "hello"}, timeout=20).json()
    assert in_use and judged["model_id"] == in_use


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"page": "/cart", "customer": {"tier": "gold"}}, {"page": "/cart"}),
        (["a", None], {"metadata": ["a", None]}),
    ],
)
def test_rasa_keeps_what_a_page_sends_along(desk: Desk, sent: object, kept: dict) -> None:
    sender = f"customer-{len(str(sent))}"
    body = {"sender": sender, "message": "hello", "metadata": sent}
    said = httpx.post(f"{desk.url}/webhooks/rest/webhook", json=body, timeout=30).json()
    assert [m["recipient_id"] for m in said] == [sender] and said[0]["text"]
    with sqlite3.connect(
        f"file:{desk.folder / 'var' / 'handoff.db'}?mode=ro", uri=True
    ) as database:
        query = "SELECT id FROM conversations WHERE channel = 'rest' AND customer_key = ?"
        (conversation,) = database.execute(query, (sender,)).fetchone()
    tracker = f"http://127.0.0.1:{desk.rasa_port}/conversations/{conversation}-1/tracker"
    metadata = httpx.get(tracker, timeout=20).json()["latest_message"]["metadata"]
    assert kept.items() <= metadata.items()
    assert metadata["handoff_desk"] == {
        "customer_key": sender,
        "channel": "rest",
        "conversation": conversation,
        "episode": 1,
    }


def test_a_widget_opens_the_chat_and_the_assistant_greets(desk: Desk) -> None:
    def asks(text: str) -> list[dict]:
        body = {"sender": "opens-the-chat", "message": text}
        return httpx.post(f"{desk.url}/webhooks/rest/webhook", json=body, timeout=30).json()

    assert asks("/get_started") == [] and asks("/session_start") == []
    (greeting,) = asks("/greet")
    assert greeting["text"]
    assert "10042" in asks("where is my order 10042?")[0]["text"]
    assert asks("/greet") == []


def test_a_dead_assistant_hands_over(desk: Desk) -> None:
    """Rasa is killed: the customer is told, a person is asked, and Rasa is started again."""
    ana, owned = desk.person(ANA), desk.customer()
    owned.write("let me talk to a human about the garden gate")
    owned.reads("system", contains="colleague")
    gate = ana.topic("garden gate")
    ana.press(ana.sees(gate, "Waiting for a person"), "Claim")
    owned.reads("system", contains="has joined")
    customer = desk.customer()
    customer.asks("hello")
    desk.send("-m rasa run", signal.SIGKILL)
    customer.write("what delivery options do you have?")
    customer.reads("system", contains="colleague")
    topic = desk.person(ANA).topic("delivery options")
    desk.person(ANA).sees(topic, "The bot was unavailable")
    until(lambda: "rasa ended" in desk.output(), "the supervisor notices")
    until(
        lambda: httpx.get(f"{desk.url}/readyz", timeout=10).status_code == 200,
        "Rasa answers again",
        120,
    )
    # A conversation that a person has stays silent, whatever became of the assistant's memory.
    before = len(owned.lines())
    owned.write("where is my order 10042?")
    ana.sees(gate, "where is my order 10042?")
    assert [line["author"] for line in owned.lines()[before:]] == ["customer"]


def test_a_hanging_action_server_hands_over(desk: Desk) -> None:
    customer = desk.customer()
    customer.asks("hello")
    desk.send("-m rasa_sdk", signal.SIGSTOP)
    try:
        customer.write("where is my order 10042?")
        customer.reads("system", contains="colleague")
    finally:
        desk.send("-m rasa_sdk", signal.SIGCONT)
    topic = desk.person(ANA).topic("where is my order 10042")
    desk.person(ANA).sees(topic, "The bot was unavailable")


def test_a_killed_gateway_loses_nothing_and_doubles_nothing(desk: Desk) -> None:
    """`kill -9` while both sides write; what was acknowledged arrives once, in order."""
    customer, ana = desk.customer(), desk.person(ANA)
    customer.write("let me talk to a human about the kill test")
    customer.reads("system", contains="colleague")
    topic = ana.topic("kill test")
    ana.press(ana.sees(topic, "Waiting for a person"), "Claim")
    customer.reads("system", contains="has joined")
    for number in range(5):
        customer.write(f"customer line {number}")
        ana.write(topic, f"agent line {number}")
    desk.send("-m handoff serve", signal.SIGKILL)
    for number in range(5, 8):
        ana.write(topic, f"agent line {number}")
    until(desk.ready, "the gateway is back", 120)
    customer.reads("agent", contains="agent line 7")
    customer.write("customer line 5")
    ana.sees(topic, "customer line 5")
    heard = [line["text"] for line in customer.lines() if line["author"] == "agent"]
    assert heard == [f"agent line {number}" for number in range(8)]
    bot = [m["text"] for m in ana.messages(topic) if m["from"]["is_bot"]]
    relayed = [text for text in bot if text.startswith("customer line")]
    # A line whose sending was cut off is never repeated blindly: the topic says so instead.
    missing = [f"customer line {n}" for n in range(6) if f"customer line {n}" not in relayed]
    assert len(set(relayed)) == len(relayed) and relayed == sorted(relayed)
    assert len(missing) <= 1 and (
        not missing or any("may or may not stand above" in t for t in bot)
    ), bot


def test_angry_and_asking_customers_get_a_person(desk: Desk) -> None:
    angry = desk.customer()
    angry.write("this is the third time I ask, you useless piece of junk!!! I am furious")
    angry.reads("system", contains="colleague")
    topic = desk.person(ANA).topic("third time")
    desk.person(ANA).sees(topic, "sounds angry")
    asking = desk.customer()
    asking.write("let me talk to a human please")
    asking.reads("system", contains="colleague")
    topic = desk.person(ANA).topic("talk to a human")
    desk.person(ANA).sees(topic, "asked for a person")


def test_nothing_secret_is_logged(desk: Desk) -> None:
    """Neither the bot token nor a chat session stands in anything the desk printed."""
    customer = desk.customer()
    customer.asks("hello there")
    text = desk.output() + "".join(
        path.read_text(errors="replace") for path in (desk.folder / "var" / "logs").iterdir()
    )
    assert "SIMULATED-BOT-TOKEN" not in text
    assert customer.session not in text


def test_stopping_leaves_no_process(desk: Desk) -> None:
    """Ctrl-C ends every process; started again the desk is ready soon and trains nothing."""
    began = desk.children()
    assert len(began) >= 4
    desk.stop()
    assert not [number for number in began if alive(number)]
    seconds = desk.start()
    assert "training" not in desk.output_since_start().casefold()
    print(f"ready again after {seconds:.1f} s")


def alive(number: int) -> bool:
    """Say whether a process exists and is not just waiting to be reaped."""
    try:
        return b") Z " not in Path(f"/proc/{number}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_short_replies_and_two_requests_on_the_real_assistant(desk: Desk) -> None:
    def told(sender: str, text: str) -> list[str]:
        body = {"sender": sender, "message": text}
        said = httpx.post(f"{desk.url}/webhooks/rest/webhook", json=body, timeout=60).json()
        return [line["text"] for line in said]

    first = told("two", "I want to cancel order 10043 and unsubscribe from the newsletter")
    assert first[0] == ONE_BY_ONE.format(text="unsubscribe from the newsletter")
    assert first[-1].endswith("Shall I cancel it?")
    done, then, newsletter = told("two", "👍")
    assert "10043 is cancelled" in done and "Newsletter" in newsletter
    assert then == NEXT_REQUEST.format(text="unsubscribe from the newsletter")
    assert "Visa" in told("no", "how can I pay?")[-1]
    assert told("no", "no, that's wrong") == [NOT_IT]
    assert "10042" in told("no", "where is my order 10042?")[-1]
    assert told("no", "that's all, thanks") == [FAREWELL]
    assert told("sign", "?") == [PROMPT]
