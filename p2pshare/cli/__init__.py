"""The command line: what people type. One small module a command; nothing else imports this package."""
