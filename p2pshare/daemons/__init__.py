"""The services that twistd and the command line start: their options, and the only place where parts are joined."""
