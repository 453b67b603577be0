"""The announce and scrape server, and what it remembers of swarms."""
