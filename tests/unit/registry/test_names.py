"""What may be called what, and what the keys say."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from modelyard.kit.ids import new_id
from modelyard.registry.names import (
    ArtifactKeys,
    UploadKey,
    is_filename,
    is_model_name,
    upload_key,
    version_number,
)

USER, VERSION = new_id("usr"), new_id("ver")


@pytest.mark.parametrize("name", ["a", "churn", "Churn-2.1_b", "0", "a" * 128])
def test_good_model_names(name):
    assert is_model_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "-a", "a-", "a b", "a/b", "ä", "a\n", "a\0", "a" * 129, "a%2f", "%", new_id("mdl"), "١"],
)
def test_bad_model_names(name):
    assert not is_model_name(name)


@pytest.mark.parametrize("name", ["m.joblib", "größe (2).pkl", "m", "🙂.onnx", "a" * 255])
def test_good_file_names(name):
    assert is_filename(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0", "\x7f", "\ud800", "a" * 256])
def test_bad_file_names(name):
    assert not is_filename(name)


@given(st.text(min_size=1, max_size=255).filter(is_filename))
def test_a_key_is_plain_and_tells_what_it_was_made_of(filename):
    key = upload_key(USER, "churn", VERSION, filename)
    assert key.isascii()
    assert len(key) < 1024
    parsed = UploadKey.parse(key)
    assert (parsed.user_id, parsed.model_name, parsed.version_id) == (USER, "churn", VERSION)


def test_dropped_files_have_no_version():
    parsed = UploadKey.parse(f"uploads/{USER}/churn/m.joblib")
    assert parsed == UploadKey(parsed.key, USER, "churn", None, "m.joblib")
    assert not parsed.is_folder_marker


@pytest.mark.parametrize("rest", ["a/b/m.joblib", "ver_1/m.joblib", f"{VERSION}/a/m.joblib"])
def test_further_folders_are_part_of_the_file_name_and_so_refused_later(rest):
    parsed = UploadKey.parse(f"uploads/{USER}/churn/{rest}")
    assert parsed.version_id is None
    assert not is_filename(parsed.filename)


@pytest.mark.parametrize("end", ["churn/", "churn/folder/", f"churn/{VERSION}/"])
def test_folder_markers_are_known(end):
    assert UploadKey.parse(f"uploads/{USER}/{end}").is_folder_marker


@pytest.mark.parametrize(
    "key",
    [
        "",
        "uploads/",
        f"uploads/{USER}",
        f"uploads/{USER}/m.joblib",
        "uploads/nobody/churn/m",
        f"models/{USER}/a/b",
    ],
)
def test_keys_that_say_nothing(key):
    assert UploadKey.parse(key) is None


def test_artifacts_lie_below_their_version():
    keys = ArtifactKeys(USER, "mdl_1", 3)
    assert keys.artifact("pickle") == f"models/{USER}/mdl_1/v3/model.pkl"
    assert keys.onnx == keys.artifact("onnx") == f"models/{USER}/mdl_1/v3/model.onnx"
    assert keys.metadata == f"models/{USER}/mdl_1/v3/metadata.json"
    assert keys.staged not in (keys.onnx, keys.metadata)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("v12", 12)])
def test_version_numbers(text, number):
    assert version_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "v", "0", "v0", "-1", "1.0", "V1", "v1 ", "١", "9" * 30, "latest", "v1\n"]
)
def test_what_is_no_version_number(text):
    assert version_number(text) is None
