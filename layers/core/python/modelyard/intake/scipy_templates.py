"""The program texts that scipy's distributions carry in a pickle, by digest.

scipy builds one text per distribution from its shape parameters and executes it on loading; all its versions
share
one form, so the texts of the allowed distributions can be rebuilt here and compared by SHA-256.
"""

from __future__ import annotations

import hashlib
from functools import cache

_FORM = """
def _parse_args(self, {shapes} {loc_in}):
    return ({shapes}), {loc_out}

def _parse_args_rvs(self, {shapes} {loc_in}, size=None):
    return self._argcheck_rvs({shapes} {loc_out}, size=size)

def _parse_args_stats(self, {shapes} {loc_in}, moments='mv'):
    return ({shapes}), {loc_out}, moments
"""
_SHAPES = {
    "beta_gen": "a, b, ",
    "expon_gen": "",
    "gamma_gen": "a, ",
    "lognorm_gen": "s, ",
    "norm_gen": "",
    "reciprocal_gen": "a, b, ",
    "truncnorm_gen": "a, b, ",
    "uniform_gen": "",
    "binom_gen": "n, p, ",
    "geom_gen": "p, ",
    "poisson_gen": "mu, ",
    "randint_gen": "low, high, ",
}
_DISCRETE = {"binom_gen", "geom_gen", "poisson_gen", "randint_gen"}


@cache
def _digest(name: str) -> str:
    loc = ("loc=0", "loc, 1") if name in _DISCRETE else ("loc=0, scale=1", "loc, scale")
    text = _FORM.format(shapes=_SHAPES[name], loc_in=loc[0], loc_out=loc[1])
    return hashlib.sha256(text.encode()).hexdigest()


def ships(name: str, digest: str | None) -> bool:
    """Whether scipy's distribution class `name` carries a text of that digest."""
    return name in _SHAPES and digest == _digest(name)
