"""Pieces on disk: made into torrents, checked, assembled, written and read. Knows no peer and no protocol."""
