"""Routes of functions that have too many for one handler."""
