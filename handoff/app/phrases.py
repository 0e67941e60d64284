"""What the desk itself says to customers. Plain text."""

HANDED_OVER = (
    "I am passing you on to a colleague. They can see what you wrote, so you need not repeat it."
)
BOT_DOWN = "I cannot answer right now, so I am passing you on to a colleague. Nothing is lost."
JOINED = "{name} has joined. You are now talking to a person."
LEFT = "{name} had to leave. Another colleague will be with you soon."
BACK_TO_BOT = "{name} has handed you back to the assistant. Just ask, or ask for a person again."
CLOSED = "{name} has closed this conversation. Write again any time."
REOPENED = "{name} is back in this conversation."
DID_YOU_MEAN = "I am not sure I understood you. Did you mean one of these?"
DID_YOU_MEAN_THIS = "I am not sure I understood you. Did you mean this?"
SOMETHING_ELSE = "Something else, a person please"
OTHER_WORDS = "I am not sure I understood you. Could you say it in other words?"
A_PERSON = "A person please"
