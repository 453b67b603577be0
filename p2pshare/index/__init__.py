"""The index: who shares what, found by any word, over one store behind every face."""
