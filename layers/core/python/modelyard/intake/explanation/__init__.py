"""Predictions taken apart: what each column contributed, exactly, or a refusal."""
