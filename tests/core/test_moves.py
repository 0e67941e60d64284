"""Short replies: what a no, a done and a sign do by themselves."""

from __future__ import annotations

import emoji
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.core.moves import Move, is_wordless, is_yes, move_of, plain_words

SAID: dict[Move | None, str] = {
    Move.REFUSE: "no|No.|nope|nah|naw|NO!!|noooo|no no no|not really|n|no way|nuh uh|not at all"
    "|no, sorry|i don't think so|hm, no",
    Move.REJECT: "not that|neither|none of these|None of them!|no, none of those options|wrong"
    "|that's wrong|no thats wrong|no, that’s not right|that is not what I meant"
    "|not what i asked for|thats not what i was looking for|that's not it|it's not that"
    "|nope, wrong one|wrong answer"
    "|you misunderstood me|no, you got me wrong|you didn't understand my question|you're wrong"
    "|I meant something else|something else|not this one|neither of those two|that doesn't help"
    "|that does not answer my question|I didn't ask for that|no I was asking about something else"
    "|nothing like that|incorrect, sorry|not quite|no, the answer is wrong",
    Move.DONE: "no thanks|no thank you|nope, thanks|no thanks I'm done|nothing else|nothing, thanks"
    "|that's all|no, that is all. Thank you very much!|that will be all, bye|I'm good|no im fine"
    "|we're done here, goodbye|all good|I am all set, cheers|no more questions|never mind|forget it"
    "|not right now|no, I don't need anything else|No that's everything, have a nice day"
    "|thats it, thanks",
    Move.AGREE: "yes|Yes please!|yep|ok|that's right|sure",
    None: "where is my order|no, where is my order?|no refund for me?|my order is wrong|not working"
    "|it is the wrong size|no one answers|nothing arrived|wrong item in the box"
    "|i want my money back|thanks|hello|10042|no 10042|not 10042 but 10043|I have no invoice"
    "|thanks, that's what I needed"
    "|you sent me the wrong shoes|none of my coupons work|no confirmation mail|good bot|please"
    "|that is not what the invoice says|XS|:D is my size|cancel it",
}


@pytest.mark.parametrize(
    ("text", "move"), [(text, move) for move, texts in SAID.items() for text in texts.split("|")]
)
def test_what_words_do(text: str, move: Move | None) -> None:
    assert move_of(text) is move
    assert not is_wordless(text)


SIGNS: dict[Move, str] = {
    Move.AGREE: "👍 👍🏽 👍👍👍 ✅ ✔️ 👌🏿 💯 🆗 🙆‍♀️ 🙂‍↕️ 👍🙏 ✓",
    Move.REFUSE: "👎 👎🏻 ❌ 🙅‍♂️ ✗ 🙂‍↔️ 👎😀",
    Move.THANKS: "❤️ 🙏 🙏🏽 <3 💚 ❤️‍🔥 🤗 💐 🙇",
    Move.JOY: ":) :-) ;) :D xD ^^ 😀 😂 🤣 🎉 🥳 😍 👏 ☺️ 😻",
    Move.ANGER: "😡 🤬 😠 😡😡😡 🖕🏼 >:( 😤 💢 😾",
    Move.SADNESS: ":( :'( :-/ 😢 😭 💔 😞 ☹️ 🙄 🤦‍♀️ 😿 </3",
    Move.CONFUSION: "? ?? ??? ？ ؟ 🤔 🤷 🤷🏾‍♂️ ❓ ?! ⁉️ 😕 🤨 o.O",
    Move.NOTHING: "… ... . !!! - 🐢 🇩🇪 🔥 * 🍕 👀",
}


@pytest.mark.parametrize(
    ("text", "move"), [(text, move) for move, texts in SIGNS.items() for text in texts.split()]
)
def test_what_signs_do(text: str, move: Move) -> None:
    assert is_wordless(text)
    assert move_of(text) is move


def test_every_emoji_there_is_has_no_words_and_the_meaning_of_its_neutral_form() -> None:
    """All sequences of the Unicode Consortium: skin tones, flags, families joined to one."""
    tones = {"light", "medium-light", "medium", "medium-dark", "dark"}
    assert len(emoji.EMOJI_DATA) > 4000
    for sign, data in emoji.EMOJI_DATA.items():
        if sign[0].isalnum():
            continue  # Keycaps hold a digit, which may number an option; ℹ is a letter.
        assert is_wordless(sign), data["en"]
        plain = "".join(c for c in sign if not 0x1F3FB <= ord(c) <= 0x1F3FF)
        if any(f"_{tone}_skin_tone" in data["en"] for tone in tones):
            assert move_of(sign) is move_of(plain), data["en"]


@given(st.text(max_size=60))
def test_whatever_is_written_is_read(text: str) -> None:
    move = move_of(text)
    if is_wordless(text):
        assert move is not None
        assert not any(c.isalnum() for c in text) or any(c in "dDpPcCsSoOxX0tT3" for c in text)
    assert plain_words(text) == plain_words(plain_words(text))


def test_nothing_at_all_is_no_sign() -> None:
    assert not is_wordless("") and not is_wordless(" \n")
    assert move_of("") is None


@pytest.mark.parametrize("text", ["yes", "Yep!", "that's it", "👍", "✅👍🏽", "ok"])
def test_what_agrees_to_one_thing(text: str) -> None:
    assert is_yes(text)


@pytest.mark.parametrize("text", ["no", "👎", "yes but where is my order", "", "❤️", "?"])
def test_what_does_not(text: str) -> None:
    assert not is_yes(text)
