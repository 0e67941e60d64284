"""A real browser, and what a customer does in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@asynccontextmanager
async def chromium(without: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """Start Chromium, without those of Playwright's own arguments that are named; end it again."""
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium, and in CI the browser tests must run.")
        pytest.skip("There is no Chromium on this machine: apt-get install chromium.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            ignore_default_args=list(without),
        )
        yield browser
        await browser.close()


async def visit(context: BrowserContext, address: str) -> Page:
    """Open a page."""
    page = await context.new_page()
    await page.goto(address)
    return page


async def write(page: Page, text: str) -> None:
    box = page.get_by_label("Your message")
    await box.fill(text)
    await box.press("Enter")


def bubbles(page: Page, author: str = ""):
    return page.locator(f".lines .row{'.' + author if author else ''} .text")


async def open_chat(page: Page) -> None:
    await page.get_by_label("Open chat").click()
