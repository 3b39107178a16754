"""The wires of other model servers, read into the engine's batches and answered from its results."""
