"""The CDK app: what runs where, with which permission. Start at `catalogue.py`, then `stages.py`."""
