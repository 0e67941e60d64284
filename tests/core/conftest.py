"""Properties are tried on the same examples in every run."""

from hypothesis import settings

settings.register_profile("same-every-time", derandomize=True, database=None)
settings.load_profile("same-every-time")
