"""Models on trial: found while they have news, judged by what was recorded of them."""
