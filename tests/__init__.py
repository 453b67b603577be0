"""Tests; hypothesis takes its time on busy machines, and tries the same examples everywhere."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "p2pshare", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("p2pshare")
