"""Users, passwords, tokens, sessions, admission."""
