"""Everything that is decided: whom to serve, what to ask whom for, whom to dial, whom to blame. No I/O, no clock."""
