"""The pages in a real browser: they come, they say what to do, nothing on them breaks."""

import pytest
from conftest import ROOT

EXAMPLE = ROOT / "examples/term-deposit/viaduct.yaml"
PASSWORD = "correct horse battery"


@pytest.fixture
def applied(server):
    server.run("apply", "-f", EXAMPLE).ok()
    server.wait_for_endpoint("term-deposit")
    return server


def open_page(page, server, path, status=200):
    answer = page.goto(server.url + path)
    assert answer.status == status, f"{path} answered {answer.status}"
    return page


def text(page) -> str:
    return page.locator("body").inner_text()


def test_the_first_page_says_what_to_do_next(server, page):
    open_page(page, server, "/")
    assert "viaduct apply" in text(page)
    assert page.locator("h1").count() == 1


def test_a_project_shows_its_ladder_and_what_each_criterion_wants(applied, page):
    open_page(page, applied, "/")
    page.get_by_role("link", name="Term deposit call list").first.click()
    page.wait_for_url("**/projects/term-deposit*")
    shown = text(page).lower()
    for word in ("concept", "pilot", "department", "enterprise", "margin-per-lead"):
        assert word in shown, word
    for criterion in ("A1", "D1", "M3", "S1", "I1", "O1"):
        assert page.get_by_text(criterion, exact=True).count() >= 1, criterion


def test_an_endpoint_has_a_call_to_copy(applied, page):
    open_page(page, applied, "/endpoints/term-deposit")
    assert "curl" in text(page)


@pytest.mark.parametrize("path", ["/", "/projects/term-deposit", "/projects/term-deposit/decisions",
                                  "/endpoints/term-deposit", "/users", "/login", "/api"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_has_no_foreign_parts(applied, browser, path, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    asked, problems = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    open_page(page, applied, path)
    width = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert not problems, problems
    assert all(url.startswith((applied.url, "data:")) for url in asked), asked
    assert width <= 390, f"{path} is {width} pixels wide on a phone of 390"


@pytest.mark.parametrize("path", ["/nowhere?a=1", "/projects/calls/nowhere", "/experiment/%3Cb%3E"])
def test_a_wrong_address_is_a_page(server, page, path):
    open_page(page, server, path, status=404)
    assert f"There is no page at {path.split('?')[0]}" in text(page)
    page.get_by_role("link", name="To the portfolio").click()
    page.wait_for_url(f"{server.url}/")
    # A program is told in its own way.
    got = server.request("GET", path)
    assert got.status == 404 and got.headers["content-type"].startswith("application/problem+json")


def test_login_logout_and_the_door(server, people, page):
    people.add("tom", "admin")
    page.goto(server.url + "/")
    page.wait_for_url("**/login*")
    page.get_by_label("Name").fill("tom")
    page.get_by_label("Password").fill("wrong horse battery")
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    assert "/login" in page.url
    page.get_by_label("Name").fill("tom")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    assert "tom" in text(page)
    open_page(page, server, "/users")
    assert "tom" in text(page)


def test_a_form_without_its_secret_is_refused(server, people):
    people.add("tom", "admin")
    form = "name=mallory&role=admin&password=correct+horse+battery"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.request("POST", "/users", form, kind).status in (401, 403, 303)
    people.become("tom")
    assert "mallory" not in server.run("user", "list").ok().out


def test_the_keyboard_reaches_the_first_link(applied, page):
    open_page(page, applied, "/projects/term-deposit")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "A"
