"""The web application: every channel, the encoder endpoint, health and metrics."""
