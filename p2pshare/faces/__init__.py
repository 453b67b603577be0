"""What the tracker and index offer over HTTP: one thin module for each kind of client."""
