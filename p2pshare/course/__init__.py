"""The course project: peerProcess with its two configuration files, its log, and a check of such logs."""
