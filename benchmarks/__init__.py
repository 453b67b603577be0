"""What p2pshare costs, and how it compares; ``python -m benchmarks.NAME --help``, or ``make bench`` for all of them."""
