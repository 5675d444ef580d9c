"""What holds for all tests."""

import signal

# A shell that runs the tests in the background has them ignore Ctrl-C, nohup the end of the terminal, and so
# would every command that they start. What a process handles is back to the default in those it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)
