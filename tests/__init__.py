"""All tests; trial and pytest run them alike."""

import signal

# Whoever runs tests in the background, or under nohup, has these ignored, and every process we start would inherit
# that; but a program that is told to ignore a signal cannot be tested for what it does about it.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)
