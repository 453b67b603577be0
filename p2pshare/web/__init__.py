"""Parts that HTTP services are built from: who is asking, how often they may, and how much they may send."""
