"""Rotating signing keys: nobody is logged out, by schedule; everybody is, in an emergency."""

from __future__ import annotations

import io
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from modelyard.accounts.rotation import SHORTEST_PERIOD, rotated
from modelyard.accounts.tokens import REFRESH_SECONDS, SigningKeys, TokenRefused, Tokens
from modelyard.composition import Composition
from modelyard.kit.secrets import Secrets

from functions.rotate_keys.handler import handle
from tools.rotate_keys import main

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = {"current": "k1", "k1": "the-key-that-the-deployment-made-first"}
MONTH = timedelta(days=30)


def test_the_first_run_only_announces_the_next_key():
    secret = rotated(FIRST, now=START)
    assert secret["current"] == "k1"
    assert len(secret) == 3
    assert all(len(key) >= 32 for kid, key in secret.items() if kid != "current")


def test_the_announced_key_signs_next_and_the_one_before_goes_on_verifying():
    one = rotated(FIRST, now=START)
    two = rotated(one, now=START + MONTH)
    (announced,) = set(one) - set(FIRST)
    assert two["current"] == announced
    assert "k1" in two
    assert len(two) == 4
    three = rotated(two, now=START + 2 * MONTH)
    assert three["current"] not in one
    assert "k1" not in three
    assert announced in three


def test_a_run_that_is_repeated_changes_nothing():
    one = rotated(FIRST, now=START)
    assert rotated(one, now=START + timedelta(seconds=1)) is None
    assert rotated(one, now=START + SHORTEST_PERIOD - timedelta(seconds=1)) is None
    assert rotated(one, now=START + SHORTEST_PERIOD) is not None


def test_every_token_lives_to_its_end_however_often_keys_rotate():
    secret, tokens = dict(FIRST), []
    now = START
    for _ in range(200):
        now += timedelta(days=1)
        secret = rotated(secret, now=now) or secret
        keys = SigningKeys(lambda _age, secret=secret: secret)
        at = now.timestamp()
        signer = Tokens(keys, now=lambda at=at: at)
        tokens.append(
            (at, signer.sign(kind="refresh", user_id="u", session_id="s", role="user", token_id="t"))
        )
        for made, token in tokens:
            if at < made + REFRESH_SECONDS:
                assert signer.verify(token, kind="refresh")
    assert secret["current"] not in FIRST


def test_in_an_emergency_every_token_ends():
    keys = dict(FIRST)
    old = Tokens(SigningKeys(lambda _age: keys)).sign(
        kind="access", user_id="u", session_id="s", role="user", token_id="t"
    )
    secret = rotated(keys, now=START, emergency=True)
    assert len(secret) == 2
    with pytest.raises(TokenRefused):
        Tokens(SigningKeys(lambda _age: secret)).verify(old)
    assert rotated(secret, now=START + timedelta(minutes=1))["current"] == secret["current"]


class SecretsManager:
    """One secret."""

    def __init__(self):
        self.text = json.dumps(FIRST)

    def put_secret_value(self, *, SecretId, SecretString):
        assert SecretId == "the-secret"
        self.text = SecretString


class Known(Composition):
    def __init__(self, manager, now=time.monotonic):
        self.__dict__.update(secrets_manager=manager, secrets=Secrets(lambda _name: manager.text, now=now))


@pytest.fixture
def manager(monkeypatch):
    monkeypatch.setenv("MODELYARD_SIGNING_KEYS_SECRET", "the-secret")
    return SecretsManager()


def test_the_function_writes_what_it_made(manager):
    services = Known(manager)
    assert handle({}, services, clock=lambda: START) == {"rotated": True, "keys": 2}
    assert json.loads(manager.text)["current"] == "k1"
    assert handle({}, services, clock=lambda: START) == {"rotated": False}
    assert handle({}, services, clock=lambda: START + MONTH) == {"rotated": True, "keys": 3}
    assert handle({"emergency": "yes"}, services, clock=lambda: START + MONTH) == {"rotated": False}
    assert handle({"emergency": True}, services, clock=lambda: START + MONTH) == {"rotated": True, "keys": 1}


def test_rotating_under_load_fails_nobody(manager):
    """Environments sign and verify each other's tokens, each with its own copy of the secret, all the
    while.
    """
    moment = [0.0]
    environments = [Known(manager, now=lambda number=number: moment[0] + number * 70) for number in range(4)]
    failures: list[Exception] = []
    rounds = [0] * len(environments)
    turned = threading.Condition()
    over = False

    def traffic(number):
        try:
            while not over:
                token = environments[number].tokens.sign(
                    kind="access", user_id="u", session_id="s", role="user", token_id="t"
                )
                for other in environments:
                    other.tokens.verify(token)
                with turned:
                    rounds[number] += 1
                    turned.notify_all()
        except Exception as error:
            failures.append(error)

    def some_traffic():
        """A rotation is long over before the next: each environment has met the others' tokens in between."""
        with turned:
            goal = [count + 2 for count in rounds]
            assert turned.wait_for(
                lambda: failures or all(done >= want for done, want in zip(rounds, goal, strict=True)), 30
            )

    threads = [threading.Thread(target=traffic, args=(number,)) for number in range(len(environments))]
    for thread in threads:
        thread.start()
    services = Known(manager)
    for month in range(6):
        assert handle({}, services, clock=lambda month=month: START + month * MONTH)["rotated"]
        for _ in range(10):  # until every copy of the secret has been renewed, each at its own time
            moment[0] += 40
            some_traffic()
    over = True
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert json.loads(manager.text)["current"] != "k1"


class Lambda:
    def __init__(self, answer, error=None):
        self.answer, self.error, self.sent = answer, error, []

    def invoke(self, *, FunctionName, Payload):
        self.sent.append((FunctionName, json.loads(Payload)))
        found = {"Payload": io.BytesIO(json.dumps(self.answer).encode())}
        return found | ({"FunctionError": self.error} if self.error else {})


def test_the_command(capsys):
    client = Lambda({"rotated": True, "keys": 1})
    assert main(["--stage", "dev", "--emergency"], lambda _service: client) == 0
    assert client.sent == [("modelyard-dev-rotate_keys", {"emergency": True})]
    assert main([], lambda _service: Lambda({"rotated": False})) == 0
    assert "8 days" in capsys.readouterr().out
    assert main([], lambda _service: Lambda({}, error="Unhandled")) == 1
