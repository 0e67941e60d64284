"""The one place that wires adapters to use cases."""
