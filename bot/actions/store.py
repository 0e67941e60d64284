"""Chooses the order store by the environment."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from bot.actions.http_store import HttpOrderStore
from bot.actions.orders import OrderStore
from bot.actions.sample_shop import SampleShop

URL_VARIABLE = "ORDER_STORE_URL"
TOKEN_VARIABLE = "ORDER_STORE_TOKEN"
FILE_VARIABLE = "SHOP_DB"
DEFAULT_FILE = "var/shop.db"


@lru_cache(maxsize=1)
def order_store() -> OrderStore:
    """The store named by `ORDER_STORE_URL`, otherwise the sample shop in the file `SHOP_DB`."""
    url = os.environ.get(URL_VARIABLE, "").strip()
    if url:
        return HttpOrderStore(url, os.environ.get(TOKEN_VARIABLE, ""))
    return SampleShop(Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE))
