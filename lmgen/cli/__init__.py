"""The command line: each command opens, calls, prints; the work is in the library."""
