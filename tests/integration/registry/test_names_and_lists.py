"""Models by name, and the lists that other protocols show, from PostgreSQL."""

from __future__ import annotations

from modelyard.registry.routes import RouteBook


def test_names_are_their_owners_own(services, make, user, stranger):
    book: RouteBook = services.routes
    model_id = make("churn")
    assert book.find(user.id, "churn") == model_id
    assert book.find(stranger.id, "churn") is None
    assert book.find(user.id, "nothing") is None


def test_lists_say_which_versions_answer(services, make, user, stranger):
    ready = make("churn", versions=2)
    waiting = make("waiting", arrive=False)
    found = {model.name: model for model in services.routes.listing(user.id)}
    assert (found["churn"].model_id, found["churn"].versions) == (ready, {1: True, 2: True})
    assert (found["waiting"].model_id, found["waiting"].versions) == (waiting, {1: False})
    assert found["churn"].default == 1
    assert services.routes.listing(stranger.id) == []
