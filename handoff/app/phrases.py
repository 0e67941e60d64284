"""What the desk itself says to customers. Plain text."""

import unicodedata

from handoff.core.policy import Reply

HANDED_OVER = (
    "I am passing you on to a colleague. They can see what you wrote, so you need not repeat it."
)
BOT_DOWN = "I cannot answer right now, so I am passing you on to a colleague. Nothing is lost."
NOBODY_REACHED = (
    "This needs a colleague of mine, but I cannot reach anybody at the moment. What you wrote is "
    "kept, and they get it as soon as they can be reached. That may take longer than usual."
)
JOINED = "{name} has joined. You are now talking to a person."
LEFT = "{name} had to leave. Another colleague will be with you soon."
BACK_TO_BOT = "{name} has handed you back to the assistant. Just ask, or ask for a person again."
CLOSED = "{name} has closed this conversation. Write again any time."
REOPENED = "{name} is back in this conversation."
PASSED_ON = "Your message is with a colleague. What they answer is shown here when you write again."
DID_YOU_MEAN = "I am not sure I understood you. Did you mean one of these?"
DID_YOU_MEAN_THIS = "I am not sure I understood you. Did you mean this?"
SOMETHING_ELSE = "Something else, a person please"
OTHER_WORDS = "I am not sure I understood you. Could you say it in other words?"
A_PERSON = "A person please"
ONE_BY_ONE = "One thing after the other: I will come to “{text}” after this."
NEXT_REQUEST = "Now to “{text}”."
CHOOSE = "Which one do you mean? Please choose, or tell me in other words."
NOT_IT = (
    "Sorry, then that was not what you wanted. Tell me in other words what you need, "
    "or ask for a person."
)
UNCLEAR = "Was that not clear? Tell me in other words what you need, or ask for a person."
SORRY = "I am sorry. Tell me in a few words what is wrong, or ask for a person."
PROMPT = "What can I do for you? Tell me in a few words."
GLAD = "Glad to hear it! I am here if there is anything else."
FAREWELL = "All right. I am here whenever you need me. Goodbye!"

REPLIES: dict[Reply, str] = {
    Reply.OTHER_WORDS: "All right, none of these. Could you say it in other words?",
    Reply.NOT_IT: NOT_IT,
    Reply.CHOOSE: CHOOSE,
    Reply.UNCLEAR: UNCLEAR,
    Reply.SORRY: SORRY,
    Reply.PROMPT: PROMPT,
    Reply.GLAD: GLAD,
    Reply.FAREWELL: FAREWELL,
}
"""Everything but `Reply.AGAIN`, which is what the bot said last."""

ASKING_WHICH = frozenset({DID_YOU_MEAN, DID_YOU_MEAN_THIS, CHOOSE})
"""Questions with intents to choose from."""

CLOSING = frozenset({PROMPT, GLAD, FAREWELL})
"""What leaves the next word to the customer."""


def naming(phrase: str, name: str) -> str:
    """Return a phrase with a person's name in it.

    An Arabic or Hebrew name is isolated (U+2068, U+2069): standing first in the sentence it would
    turn the whole sentence around.
    """
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in name):
        name = f"\u2068{name}\u2069"
    return phrase.format(name=name)
