"""Dagster's web UI in a browser without a window: what is shown is found as people find it, by its text or its role."""

import contextlib
import dataclasses
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

PACKAGES: Mapping[str, str] = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""For each program that is needed, the Debian package that has it."""

SIZE = (1160, 1300)
"""A window in which the whole lineage has room, in pixels."""
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--lang=en-GB",
)  # fmt: skip
_NOT_YET = (
    NoSuchElementException,
    StaleElementReferenceException,
    ElementNotInteractableException,
    ElementClickInterceptedException,
)
"""What a page that is being drawn answers with."""
_SECONDS = 60.0
_DESCRIPTION = 3
"""Which column of a check's history has it."""
_TOLD = 2000
"""Characters of a page that say enough of it."""
T = TypeVar("T")


@contextlib.contextmanager
def chromium(profile: Path, size: tuple[int, int] = SIZE) -> Iterator[Chrome]:
    """A browser with nothing of its own but the empty folder `profile`. `size`: its window in pixels."""
    program, driver = (shutil.which(name) for name in PACKAGES)
    assert program, "chromium is not on PATH"
    assert driver, "chromedriver is not on PATH"
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    browser = Chrome(options, Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


@dataclasses.dataclass(frozen=True)
class Lineage:
    """What the lineage shows: components by group, and edges from what is needed to what needs it."""

    groups: Mapping[str, frozenset[str]]
    edges: frozenset[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One line of a check's history."""

    result: str
    description: str


class WebUi:
    """Pages at one address, and what a person does there. Everything waits until it is possible, up to a deadline."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser, self._url = browser, url

    def open(self, path: str) -> None:
        """Go to an address."""
        self.browser.get(self._url + path)

    def text(self) -> str:
        """Everything that can be read on the page, a line for each piece."""
        return str(self.browser.find_element(By.TAG_NAME, "body").text)

    def until(
        self,
        condition: Callable[[], T | None],
        what: str,
        seconds: float = _SECONDS,
        between: Callable[[], None] = lambda: None,
    ) -> T:
        """What `condition` returns as soon as that is true; `between` is done after each time that it is not.

        Fails with `what` and how the page begins at the deadline.
        """

        def look() -> T | None:
            seen = condition()
            if not seen:
                between()
            return seen

        try:
            found = WebDriverWait(self.browser, seconds, 0.2, _NOT_YET).until(lambda _: look())
        except TimeoutException:
            told = f"{what}: not within {seconds:g} s on {self.browser.current_url}\n{self.text()[:_TOLD]}"
            raise AssertionError(told) from None
        assert found
        return found

    def reads(self, pattern: str, seconds: float = _SECONDS) -> re.Match[str]:
        """The first place where the page's text matches; `^` and `$` are ends of lines."""
        return self.until(lambda: re.search(pattern, self.text(), re.MULTILINE), f"text {pattern!r}", seconds)

    def press(self, words: str) -> None:
        """Press the button, link, tab or menu entry with these words."""
        kinds = "self::button or self::a or @role='tab' or @role='menuitem'"
        inner = f"//*[{kinds}][starts-with(normalize-space(.), '{words}')]"
        self._click(inner, words)

    def press_icon(self, name: str) -> None:
        """Press the button that shows nothing but this icon."""
        self._click(f"//button[.//*[@role='img' and @aria-label='{name}'] and not(normalize-space(.))]", name)

    def _click(self, path: str, name: str) -> None:
        def click() -> bool:
            shown = [e for e in self.browser.find_elements(By.XPATH, path) if e.is_displayed()]
            for element in shown[:1]:
                element.click()
            return bool(shown)

        self.until(click, f"{name!r} can't be pressed")

    def close_menus(self) -> None:
        """Press Escape."""
        ActionChains(self.browser).send_keys(Keys.ESCAPE).perform()

    def resize(self, width: int, height: int) -> None:
        """Give the window another size, in pixels."""
        self.browser.set_window_size(width, height)

    def picture(self, file: Path) -> None:
        """What is shown now, as a PNG file; without the frame around what was pressed last."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.browser.execute_script("document.activeElement.blur()")
        assert self.browser.save_screenshot(str(file))

    def refresh(self) -> None:
        """Press the page's own button for it."""
        self.press_icon("refresh")

    def history(self) -> list[Evaluation]:
        """The lines of a check's execution history, the newest first."""
        found = []
        for row in self.browser.find_elements(By.XPATH, "//table//tr[td]"):
            cells = [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
            if len(cells) > _DESCRIPTION:
                found.append(Evaluation(cells[0], cells[_DESCRIPTION]))
        return found

    def open_lineage(self) -> None:
        """The lineage of everything, every group unfolded, the list beside it put away."""
        self.open("/asset-groups")
        self.press_icon("panel_show_right")
        self.press_icon("settings")
        folding = self.reads(r"^(Expand|Collapse) all groups")[0]  # it is remembered from one visit to the next
        if folding.startswith("Expand"):
            self.press(folding)
        self.close_menus()

    def settled_lineage(self, names: Collection[str]) -> Lineage:
        """The lineage once it is unfolded and no longer moves."""
        last: list[Lineage] = []

        def look() -> Lineage | None:
            last.append(self.lineage(names))
            return last[-1] if last[-1].groups and last[-3:] == [last[-1]] * 3 else None

        return self.until(look, "no lineage is drawn")

    def green(self, names: Collection[str]) -> set[str]:
        """The components that are drawn in green."""
        shown: list[str] = self.browser.execute_script(_GREEN)
        return {_whole(name, names) for name in shown}

    def select(self, component: str) -> None:
        """Click on a component in the lineage."""
        self._click(f"//*[local-name()='foreignObject']//*[text()='{component}']", component)

    def lineage(self, names: Collection[str]) -> Lineage:
        """What is drawn in the lineage now: what lies inside the window, and edges between that.

        `names`: of all components; a long one is drawn with its middle left out.
        """
        drawn = self.browser.execute_script(_DRAWN)
        boxes = {_whole(box["name"], names): _Box(**box) for box in drawn["boxes"] if box["name"]}
        inside = {
            name: frozenset(other for other, one in boxes.items() if other != name and box.holds(one))
            for name, box in boxes.items()
        }
        components = {name: box for name, box in boxes.items() if not inside[name]}
        edges: set[tuple[str, str]] = set()
        for path in drawn["edges"]:
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", path)]
            begins = [name for name, box in components.items() if box.ends_at(*numbers[:2])]
            ends = [name for name, box in components.items() if box.begins_at(*numbers[-2:])]
            edges |= {(begin, end) for begin in begins for end in ends}
        return Lineage({name: found for name, found in inside.items() if found}, frozenset(edges))


def _whole(shown: str, names: Collection[str]) -> str:
    """The name that is shown, in full."""
    start, _, end = shown.partition("…")
    whole = [name for name in names if name.startswith(start) and name.endswith(end)] if end else []
    return whole[0] if len(whole) == 1 else shown


_DRAWN = """
const number = (element, name) => parseFloat(element.getAttribute(name));
return {
  boxes: [...document.querySelectorAll('foreignObject')].map(box => ({
    name: (box.firstElementChild?.innerText ?? '').split('\\n')[0].trim(),
    x: number(box, 'x'), y: number(box, 'y'), width: number(box, 'width'), height: number(box, 'height'),
  })),
  edges: [...document.querySelectorAll('path[marker-end]')].map(edge => edge.getAttribute('d')),
};
"""
_GREEN = """
return [...document.querySelectorAll('foreignObject [style*="green"]')].map(box => box.innerText.trim());
"""
_GAP = 10.0
"""Between an arrow's tip and what it points at."""


@dataclasses.dataclass(frozen=True)
class _Box:
    """A component or a group as it is drawn, in the drawing's own units."""

    name: str
    x: float
    y: float
    width: float
    height: float

    def holds(self, other: "_Box") -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and self.x + self.width >= other.x + other.width
            and self.y + self.height >= other.y + other.height
        )

    def ends_at(self, x: float, y: float) -> bool:
        return abs(self.x + self.width - x) <= _GAP and self.y <= y <= self.y + self.height

    def begins_at(self, x: float, y: float) -> bool:
        return abs(self.x - x) <= _GAP and self.y <= y <= self.y + self.height
