"""getUpdates and the webhook settings; delivery itself is in `webhook.py`, waiting in `app.py`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from .errors import bad_request
from .params import Params
from .state import Webhook, World

UPDATE_KINDS = {
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection",
    "business_message", "edited_business_message", "deleted_business_messages", "guest_message",
    "message_reaction", "message_reaction_count", "inline_query", "chosen_inline_result",
    "callback_query", "shipping_query", "pre_checkout_query", "purchased_paid_media", "poll",
    "poll_answer", "my_chat_member", "chat_member", "chat_join_request", "chat_boost",
    "removed_chat_boost", "managed_bot",
}  # fmt: skip


def remember_allowed(world: World, params: Params) -> None:
    """Keep `allowed_updates`; left out, the earlier setting stays; empty means the default."""
    raw = params.nested("allowed_updates", "allowed updates")
    if raw is None:
        return
    if not isinstance(raw, list):
        raise bad_request("can't parse allowed updates: Array expected")
    allowed = [str(name).lower() for name in raw if str(name).lower() in UPDATE_KINDS]
    if allowed != world.allowed_updates:
        world.allowed_updates = allowed
        world.touch("meta", "allowed_updates")


def confirm(world: World, offset: int) -> None:
    """Forget updates below `offset`; a negative one keeps only that many from the end."""
    pending = world.pending_updates()
    if offset < 0:
        for update in pending[:offset]:
            world.drop_update(update.id)
        return
    for update in pending:
        if update.id < offset:
            world.drop_update(update.id)


def fetch(world: World, offset: int, limit: int) -> list[dict[str, Any]]:
    """Pending updates from `offset` on, at most `limit`, without confirming them."""
    pending = [u for u in world.pending_updates() if offset <= 0 or u.id >= offset]
    return [update.body() for update in pending[:limit]]


def set_webhook(world: World, params: Params) -> str:
    """setWebhook; returns Telegram's description. Takes http and loopback, as a local server."""
    secret = params.text("secret_token")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    url = params.text("url")
    if not url:
        return delete_webhook(world, params)
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise bad_request("bad webhook: invalid webhook URL specified")
    remember_allowed(world, params)
    _drop_pending_if_asked(world, params)
    connections = min(100, max(1, params.number("max_connections", 40)))
    unchanged = (world.webhook.url, world.webhook.secret_token) == (parts.geturl(), secret)
    world.webhook = Webhook(parts.geturl(), secret, connections)
    world.touch("meta", "webhook")
    return "Webhook is already set" if unchanged else "Webhook was set"


def delete_webhook(world: World, params: Params) -> str:
    """deleteWebhook; returns Telegram's description."""
    _drop_pending_if_asked(world, params)
    if not world.webhook.url:
        return "Webhook is already deleted"
    world.webhook = Webhook()
    world.touch("meta", "webhook")
    return "Webhook was deleted"


def _drop_pending_if_asked(world: World, params: Params) -> None:
    if params.flag("drop_pending_updates"):
        for update in world.pending_updates():
            world.drop_update(update.id)


def get_webhook_info(world: World, params: Params) -> Any:
    """getWebhookInfo."""
    webhook = world.webhook
    body: dict[str, Any] = {
        "url": webhook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(world.pending_updates()),
    }
    if webhook.url:
        body["max_connections"] = webhook.max_connections
    if webhook.last_error_date:
        body["last_error_date"] = webhook.last_error_date
        body["last_error_message"] = webhook.last_error_message
    if world.allowed_updates:
        body["allowed_updates"] = world.allowed_updates
    return body
