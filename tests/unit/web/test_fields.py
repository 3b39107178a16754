from __future__ import annotations

import pytest
from modelyard.web.fields import DisplayName, Email, NewPassword, Payload
from modelyard.web.problems import from_validation
from pydantic import ValidationError


class Form(Payload):
    email: Email = "a@example.com"
    name: DisplayName = "Ada"
    password: NewPassword = "correct horse"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Ada  ", "Ada"),
        ("Zoë", "Zoë"),
        ("李小龍", "李小龍"),
        ("O'Neil; DROP", "O'Neil; DROP"),
        ("👩‍🔬", "👩‍🔬"),
    ],
)
def test_names_are_kept_as_people_write_them(given, kept):
    assert Form(name=given).name == kept


@pytest.mark.parametrize(
    "given", ["", "   ", "a\0b", "a\nb", "a\u202eb", "a\x1b[31m", "x" * 101, "\u2028", "\ue000", "\uffff"]
)
def test_names_that_could_do_harm_are_refused(given):
    with pytest.raises(ValidationError):
        Form(name=given)


def test_composed_and_decomposed_names_are_one():
    assert Form(name="Zoe\u0308").name == "Zoë"


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"password": "x" * 73}, "/password", "72 bytes"),
        ({"password": "short"}, "/password", "at least 8"),
        ({"password": 12345678}, "/password", "got a number"),
        ({"email": "nobody"}, "/email", "not an email address"),
        ({"email": ["a@example.com"]}, "/email", "got an array"),
        ({"name": None}, "/name", "got null"),
        ({"role": "admin"}, "/role", "not known"),
        ({"a/b~c": 1}, "/…", "not known"),
    ],
)
def test_what_is_wrong_is_said_in_words_and_without_the_value(fields, pointer, words):
    with pytest.raises(ValidationError) as raised:
        Form.model_validate(fields)
    failures = [{**failure, "loc": ("body", *failure["loc"])} for failure in raised.value.errors()]
    (error,) = from_validation(failures).errors
    assert error.pointer == pointer
    assert words in error.detail
    assert not any(str(value) in error.detail for value in fields.values() if isinstance(value, str))


def test_a_flood_of_mistakes_is_cut_short():
    failures = [
        {"type": "missing", "loc": ("body", "items", index), "msg": "", "input": None} for index in range(500)
    ]
    problem = from_validation(failures)
    assert len(problem.errors) == 20
    assert "500" in problem.detail
