"""Every threshold of the desk, named, with its unit. Nothing else holds a magic number."""

from __future__ import annotations

from dataclasses import dataclass

MESSAGE_CHARACTERS = 5000
"""Longest message a customer may send, in characters (Unicode code points)."""

KEY_CHARACTERS = 255
"""Longest identifier a channel may give a customer or a message, in characters."""

CONTEXT_BYTES = 16 * 1024
"""Most a page may send along with a message (Rasa's metadata), in bytes of JSON."""

CONTEXT_LEVELS = 50
"""How deeply that may be nested: whoever writes it again must not run out of stack."""

REASONS_SHOWN = 3
"""How many reasons an agent is shown, most important first."""

LAST_TURNS_SHOWN = 6
"""How many of the last lines stand on a handoff card."""

HISTORY_LINES = 40
"""How many lines before a message the policy looks at: about twenty turns. What was said earlier
says nothing about now, and a turn must not get slower the longer a customer stays."""

REQUEST_CHARACTERS = 80
"""How much of a request is quoted to the customer who made it, in characters."""

PARSE_SECONDS = 5.0
"""Longest wait for the assistant to understand a message, in seconds."""

TURN_SECONDS = 10.0
"""Longest wait for a bot turn, in seconds."""

IDLE_MINUTES = 60
"""After so many minutes without a line a conversation the bot owns is closed as an episode."""

OWED_SECONDS = 30
"""A customer message without a decision for so long is decided again by the sweep, in seconds."""

ASSISTANT_START_SECONDS = 30
"""After a start the assistant is waited for so long before what it owes goes to people, in
seconds; Rasa's light pipeline takes about 9."""

RUN_LEASE_SECONDS = 300
"""A learning run whose last sign of life is older than this, in seconds, counts as dead."""

GOLDEN_MESSAGES_LOST = 4
"""By how many golden messages a figure of a candidate model may fall at one go.

The two models answer the same messages, so only those they judge differently count (a paired sign
test). Where nothing was gained, four lost come about by luck in one of sixteen cases and five in
one of thirty-two: five is the first loss that is significant at 5 %. One would be too strict:
six honest nights tried on the shipped data changed a figure by -3 to +6 messages, all of them
close to the desk's confidence limit, because the calibration is measured anew."""

GOLDEN_SHARE_LOST = 0.0125
"""The same as a share of the messages a figure is measured on; the smaller of the two counts. It
is 4 of 363 and 2 of 173 messages, and none of a golden set of fewer than 80."""

GOLDEN_FLOOR_FACTOR = 1.5
"""How many times that loss a figure may lie below the best release so far: small losses must not
add up night after night. It is 6 of 363 messages, one standard error at 90 %."""

GOLDEN_MESSAGES_TAKEN = 8
"""How many more messages of the out-of-scope file the learned topics may answer after one night.

An approved topic (gift cards, say) rightly makes a few golden messages no longer out of scope; one
that draws many towards it is not a topic but a sink. 8 of 173 are five per cent."""


OTHERS_HARMLESS = 0.08
"""What `PolicyLimits.harmless` is before somebody else's assistant. A typical message of the shop
has a risk of 0.03, and what lowers it further there, precedents, is not known elsewhere."""


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """What the policy compares with; probabilities, confidences and risks run from 0 to 1."""

    confidence: float = 0.45
    """Below this confidence of the best intent the bot does not answer without asking back."""
    likely: float = 0.15
    """Intents at least this likely are meant or may be: the prediction set (Sadinle, Lei and
    Wasserman 2019, "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels")."""
    unknown: float = 0.3
    """At or above this probability that nothing known is meant, the bot asks before it answers."""
    options: int = 3
    """A question offers at most so many intents; where more are likely nothing was understood."""
    part: float = 0.6
    """At or above this confidence a part of a message counts as a request of its own."""
    questions: int = 2
    """How often the bot may ask back in one episode, never twice in a row."""
    asks_for_person: float = 0.3
    """At or above this probability the customer asks for a person."""
    person_intent: float = 0.5
    """At or above this confidence an intent that means "a person, please" counts as a request."""
    danger: float = 0.15
    """At or above this probability the message tells of danger to life, health or property."""
    legal: float = 0.35
    """At or above this probability the message threatens with the law."""
    angry: float = 0.9
    """At or above this probability the message is angry whatever else; below, anger adds to the
    risk."""
    not_meant: float = 0.6
    """At or above this probability of negative a courtesy is not meant as it reads."""
    praise: float = 0.35
    """At or above this probability a message reads as thanks or praise."""
    courtesy: float = 0.15
    """The same where the assistant takes the message for a courtesy as well."""
    irony: float = 0.8
    """At or above this probability such words mean the contrary."""
    sincere: float = 0.4
    """Below this probability of irony they are meant, and no anger is heard in drastic words."""
    furious: float = 0.98
    """At or above this probability of anger nothing in a message counts as praise."""
    mood_messages: int = 3
    """How many of the last messages make the mood."""
    same_cosine: float = 0.92
    """Two messages at least this similar (cosine) say the same thing."""
    customer_repeats: int = 3
    """After so many repetitions of one message the bot clearly does not help; fewer add to the
    risk."""
    bot_repeats: int = 2
    """After the bot has said the same so many times before, it is not helping."""
    risk: float = 0.142
    """At or above this risk a conversation goes to a person, while every agent is free."""
    harmless: float = 0.02
    """Below this risk a message that was not understood calls for nobody ("neat!"): the customer
    is asked for other words."""
    risk_floor: float = 0.05
    """The risk limit never falls below this, whatever costs and resolved episodes say."""
    risk_ceiling: float = 0.6
    """The risk limit never rises above this. Only a lead moves floor and ceiling."""
