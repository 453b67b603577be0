"""Where peers come from: tracker clients and the announcer that asks them in turn."""
