"""Everything that is said: peer messages and announces, as codecs without I/O."""
