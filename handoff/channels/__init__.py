"""How customers reach the desk: the page, Rasa's REST protocol, Rasa's Socket.IO protocol."""
