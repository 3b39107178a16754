"""What most teams write: FastAPI, a pydantic body, joblib. No authentication, limit, cache or log."""

from __future__ import annotations

import os

import joblib
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

model = joblib.load(os.environ["BENCHMARK_MODEL"])
app = FastAPI()


class Body(BaseModel):
    inputs: list[list[float]]


@app.post("/predict/{model_id}")
async def predict(model_id: str, body: Body) -> dict[str, list[float]]:
    return {"predictions": model.predict(body.inputs).tolist()}


handler = Mangum(app, lifespan="off")
