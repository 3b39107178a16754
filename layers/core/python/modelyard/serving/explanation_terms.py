"""What both sides of the sandbox agree on about explanations."""

MOST_ROWS = 100
MOST_CONTRIBUTIONS = 200  # per row; the rest is one number
KINDS = (
    "exact explanations exist for linear models, decision trees, random and extremely randomised forests, "
    "gradient boosting, LightGBM and XGBoost, also behind transformers in a Pipeline."
)
