"""The verifier against PyJWT's, and against every kind of token that must not pass."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, strategies as st
from modelyard.accounts.tokens import (
    ACCESS_SECONDS,
    AUDIENCE,
    ISSUER,
    REFRESH_SECONDS,
    SigningKeys,
    TokenRefused,
    Tokens,
)
from modelyard.kit.errors import Unavailable

NOW = 1_790_000_000
KEYS = {"current": "b", "a": "a" * 32, "b": "b" * 64, "short": "x"}


def tokens(*, at: float = NOW, keys: dict[str, Any] | None = None) -> Tokens:
    return Tokens(SigningKeys(lambda _age: KEYS if keys is None else keys), now=lambda: at)


def sign(**options: Any) -> str:
    given = {"kind": "access", "user_id": "usr_1", "session_id": "ses_1", "role": "user", "token_id": "tok_1"}
    return tokens().sign(**(given | options))


def forged(*, header: dict[str, Any] | None = None, key: str = KEYS["b"], **claims: Any) -> str:
    """A token made by PyJWT with our claims, changed as asked; a claim of `None` is left out."""
    given = jwt.decode(sign(), options={"verify_signature": False}) | claims
    given = {name: value for name, value in given.items() if value is not None}
    options = {"kid": "b"} | (header or {})
    return jwt.encode(given, key, algorithm=options.pop("alg", "HS256"), headers=options)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_signed_token_is_read_back():
    claims = tokens().verify(sign())
    assert (claims.user_id, claims.session_id, claims.role) == ("usr_1", "ses_1", "user")
    assert claims.expires_at - claims.issued_at == ACCESS_SECONDS


def test_what_we_sign_is_a_jwt_to_others():
    token = sign(kind="refresh")
    read = jwt.decode(
        token, KEYS["b"], ["HS256"], audience=AUDIENCE, issuer=ISSUER, options={"verify_exp": False}
    )
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": "b", "typ": "JWT"}
    assert set(read) == {"iss", "aud", "sub", "sid", "typ", "role", "jti", "iat", "nbf", "exp"}
    assert read["exp"] - read["iat"] == REFRESH_SECONDS


def test_every_key_of_the_secret_verifies():
    assert tokens().verify(forged(header={"kid": "a"}, key=KEYS["a"])).user_id == "usr_1"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "..",
        "é.é.é",
        "x" * 5000,
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'sub': 'usr_1'})}.",
        f"{part([])}.{part({})}.AAAA",
        f"{part({'alg': 'HS256', 'kid': 'b'})}.{part('x')}.AAAA",
        f"{part({'alg': 'HS256', 'kid': ['b']})}.{part({})}.AAAA",
        f"{part({'alg': ['HS256'], 'kid': 'b'})}.{part({})}.AAAA",
        sign() + "=",
        " " + sign(),
    ],
)
def test_what_is_no_token_is_refused(token):
    with pytest.raises(TokenRefused):
        tokens().verify(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "HS512", "RS256", "hs256", ""])
def test_the_algorithm_is_ours_and_not_the_tokens(algorithm):
    body = sign().split(".")[1]
    unsigned = f"{part({'alg': algorithm, 'kid': 'b', 'typ': 'JWT'})}.{body}"
    for signature in ("", "AAAA", sign().split(".")[2]):
        with pytest.raises(TokenRefused):
            tokens().verify(f"{unsigned}.{signature}")
    for swapped in ("HS384", "HS512"):
        with pytest.raises(TokenRefused):
            tokens().verify(forged(header={"alg": swapped}))


@pytest.mark.parametrize("kid", ["c", "current", "", "short", "../b", "b\0"])
def test_an_unknown_kid_is_refused(kid):
    with pytest.raises(TokenRefused):
        tokens().verify(forged(header={"kid": kid}))


def test_a_missing_kid_is_refused():
    claims = jwt.decode(sign(), options={"verify_signature": False})
    with pytest.raises(TokenRefused):
        tokens().verify(jwt.encode(claims, KEYS["b"], algorithm="HS256"))


def test_a_critical_extension_is_refused():
    with pytest.raises(TokenRefused):
        tokens().verify(forged(header={"crit": ["exp"]}))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": None},
        {"exp": "2099-01-01"},
        {"exp": 9e99},
        {"exp": True},
        {"nbf": NOW + 60},
        {"nbf": None},
        {"iat": None},
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "other"},
        {"aud": [AUDIENCE]},
        {"aud": None},
        {"typ": "refresh"},
        {"typ": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sid": None},
        {"role": None},
        {"jti": None},
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_refused(claims):
    from jwt.api_jws import encode

    given = jwt.decode(sign(), options={"verify_signature": False}) | claims
    body = json.dumps({name: value for name, value in given.items() if value is not None})
    token = encode(body.encode(), KEYS["b"], algorithm="HS256", headers={"kid": "b"})
    with pytest.raises(TokenRefused):
        tokens().verify(token)


def test_a_refresh_token_is_good_for_refreshing_only():
    refresh = sign(kind="refresh")
    assert tokens().verify(refresh, kind="refresh").kind == "refresh"
    with pytest.raises(TokenRefused, match="not an access token"):
        tokens().verify(refresh)
    with pytest.raises(TokenRefused, match="not a refresh token"):
        tokens().verify(sign(), kind="refresh")


def test_it_holds_until_the_last_second():
    token = sign()
    assert tokens(at=NOW + ACCESS_SECONDS - 0.1).verify(token)
    with pytest.raises(TokenRefused, match="expired"):
        tokens(at=NOW + ACCESS_SECONDS).verify(token)


def test_clocks_may_differ_a_little():
    assert tokens(at=NOW - 4).verify(sign())
    with pytest.raises(TokenRefused, match="not valid yet"):
        tokens(at=NOW - 6).verify(sign())


@given(position=st.integers(min_value=0), character=st.sampled_from("abcXYZ019-_.=é"))
def test_a_token_with_one_character_changed_is_no_more_accepted_than_pyjwt_would(position, character):
    token = sign()
    place = position % len(token)
    changed = token[:place] + character + token[place + 1 :]
    try:
        jwt.decode(
            changed, KEYS["b"], ["HS256"], audience=AUDIENCE, issuer=ISSUER, options={"verify_exp": False}
        )
        theirs = True
    except jwt.PyJWTError:
        theirs = False
    try:
        tokens().verify(changed)
        ours = True
    except TokenRefused:
        ours = False
    assert ours <= theirs
    if changed == token:
        assert ours


def test_a_new_key_is_looked_up_before_its_token_is_refused():
    ages: list[float] = []

    def source(age: float) -> dict[str, str]:
        ages.append(age)
        return KEYS if age < 60 else {"current": "a", "a": KEYS["a"]}

    assert Tokens(SigningKeys(source), now=lambda: NOW).verify(sign())
    assert ages == [300.0, 10.0]


@pytest.mark.parametrize(
    "keys", [{}, {"current": "x"}, {"current": "x", "x": "short"}, {"current": "current"}]
)
def test_without_a_proper_key_nothing_is_signed(keys):
    with pytest.raises(Unavailable):
        tokens(keys=keys).sign(
            kind="access", user_id="usr_1", session_id="ses_1", role="user", token_id="tok_1"
        )
