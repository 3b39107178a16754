"""How long a prediction may take."""

DEADLINE_SECONDS = 25.0  # the gateway gives up after 29
SHORTEST_TIMEOUT = 0.1  # seconds that a caller may ask for
