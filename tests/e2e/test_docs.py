"""The documentation pages render in a real browser, from our own files, under their own strict policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from infra.catalogue import all_routes
from tests.support.account import Account, expect
from tools import browser

PATIENCE = 60  # seconds; one render on two busy cores


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    found = browser.find()
    options = ChromeOptions()
    options.binary_location = found.binary
    profile: Path = tmp_path_factory.mktemp("chrome")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(found.driver))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


def _complaints(chrome: Chrome) -> list[str]:
    """What the page wrote to the console that somebody should read.

    ReDoc asks its maker's server for the logo of its own credit line; our policy keeps that from happening.
    """
    written = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    return [message for message in written if "logo-mini.svg' violates" not in message.replace("\\'", "'")]


def test_swagger_ui_lists_every_route(chrome: Chrome, api: httpx.Client):
    chrome.get(f"{api.base_url}docs")
    operations = WebDriverWait(chrome, PATIENCE).until(lambda d: d.find_elements(By.CSS_SELECTOR, ".opblock"))

    shown = {
        (
            block.find_element(By.CSS_SELECTOR, ".opblock-summary-method").text,
            block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute("data-path"),
        )
        for block in operations
    }
    assert {("POST", "/predict/{model_id}"), ("POST", "/models/upload"), ("POST", "/auth/login")} <= shown
    assert _complaints(chrome) == []


def test_authorize_logs_in_and_what_is_tried_carries_the_token(
    chrome: Chrome, api: httpx.Client, account: Callable[[], Account]
):
    user = account()
    wait = WebDriverWait(chrome, PATIENCE)
    chrome.get(f"{api.base_url}docs")

    def click(selector: str) -> None:
        element = wait.until(lambda d: d.find_element(By.CSS_SELECTOR, selector))
        chrome.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", element)

    click(".auth-wrapper .btn.authorize")
    wait.until(lambda d: d.find_element(By.CSS_SELECTOR, "#oauth_username")).send_keys(user.email)
    chrome.find_element(By.CSS_SELECTOR, "#oauth_password").send_keys(user.password)
    click(".modal-ux form .auth-btn-wrapper button.authorize, .modal-ux .auth-btn-wrapper button.authorize")
    wait.until(
        lambda d: [b for b in d.find_elements(By.CSS_SELECTOR, ".auth-btn-wrapper") if "Logout" in b.text]
    )
    click(".modal-ux .close-modal")
    operation = ".opblock-get:has([data-path='/users/me'])"
    click(f"{operation} .opblock-summary-control")
    click(f"{operation} button.execute")
    answers = f"{operation} .live-responses-table"
    wait.until(lambda d: user.email in d.find_element(By.CSS_SELECTOR, answers).text)
    assert _complaints(chrome) == []


def test_redoc_renders(chrome: Chrome, api: httpx.Client):
    chrome.get(f"{api.base_url}redoc")

    WebDriverWait(chrome, PATIENCE).until(
        lambda d: (
            "Modelyard" in d.find_element(By.TAG_NAME, "body").text
            and d.find_elements(By.CSS_SELECTOR, "[data-section-id]")
        )
    )
    assert _complaints(chrome) == []


def test_the_document_covers_every_route_of_every_function(api: httpx.Client):
    document = expect(api.get("/openapi.json"), 200)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    deployed = {
        (route.method, route.path) for route, function in all_routes().items() if function.name != "docs"
    }
    assert deployed - described == set()
    assert document["servers"] == [{"url": "/api"}]


def test_the_pages_load_nothing_from_elsewhere(api: httpx.Client):
    for page in ("/docs", "/redoc"):
        answer = api.get(page)

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "http://" not in answer.text
        assert "https://" not in answer.text
        assert "default-src" in answer.headers["content-security-policy"]
