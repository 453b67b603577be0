"""Tests; hypothesis takes its time on busy machines, and tries the same examples everywhere."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "p2pshare", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("p2pshare")

# A shell's background job ignores Ctrl-C, one of nohup the hangup, and so would all that we start. What is handled
# here, even by nothing, is as usual there.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda number, frame: None)
