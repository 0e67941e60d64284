"""Photos and documents: upload, ids, download, what the page shows."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

import httpx

from tests.simulation.server import GROUP, TOKEN, Bot, People


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A valid grey picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


PNG = png(40, 30)


def send_photo(url: str, data: bytes, **fields: Any) -> dict[str, Any]:
    """sendPhoto as multipart, the file in the field itself."""
    answer = httpx.post(
        f"{url}/bot{TOKEN}/sendPhoto",
        data={"chat_id": str(GROUP), **fields},
        files={"photo": ("chart.png", data, "image/png")},
    )
    return answer.json()


def test_photo_keeps_its_bytes(url: str, bot: Bot, people: People) -> None:
    photo = send_photo(url, PNG, caption="Week")["result"]["photo"][-1]
    assert (photo["width"], photo["height"], photo["file_size"]) == (40, 30, len(PNG))
    path = bot.ok("getFile", file_id=photo["file_id"])["file_path"]
    assert httpx.get(f"{url}/file/bot{TOKEN}/{path}").content == PNG
    assert httpx.get(f"{url}/file/bot1:OTHER/{path}").status_code == 401
    seen = people.get("messages", chat_id=GROUP)[0]
    assert httpx.get(url + seen["photo"]).content == PNG
    again = bot.ok("sendPhoto", chat_id=GROUP, photo=photo["file_id"])
    assert again["photo"][-1]["file_unique_id"] == photo["file_unique_id"]


def test_attached_document_with_nested_json_in_the_form(url: str, people: People) -> None:
    body = b"a,b\r\n--not-a-boundary\r\n1,2\r\n"
    markup = {"inline_keyboard": [[{"text": "Open", "callback_data": "open"}]]}
    answer = httpx.post(
        f"{url}/bot{TOKEN}/sendDocument",
        data={
            "chat_id": str(GROUP),
            "document": "attach://part",
            "reply_markup": json.dumps(markup),
        },
        files={"part": ("export ü.csv", body, "text/csv")},
    ).json()
    document = answer["result"]["document"]
    assert (document["file_name"], document["mime_type"]) == ("export ü.csv", "text/csv")
    assert answer["result"]["reply_markup"] == markup
    seen = people.get("messages", chat_id=GROUP)[0]["document"]
    got = httpx.get(url + seen["url"])
    assert got.content == body and got.headers["content-disposition"] == "attachment"


def test_bad_files(url: str, bot: Bot, people: People) -> None:
    assert send_photo(url, b"no picture")["description"] == "Bad Request: IMAGE_PROCESS_FAILED"
    assert bot.refused("sendPhoto", chat_id=GROUP) == (
        "Bad Request: there is no photo in the request"
    )
    assert bot.refused("sendPhoto", chat_id=GROUP, photo="nonsense").startswith(
        "Bad Request: wrong remote file identifier specified"
    )
    assert bot.refused("getFile", file_id="nonsense") == (
        "Bad Request: wrong file_id or the file is temporarily unavailable"
    )
    assert send_photo(url, PNG, message_thread_id="77")["description"] == (
        "Bad Request: message thread not found"
    )
    assert people.get("messages", chat_id=GROUP) == []


def test_a_person_sends_a_photo(bot: Bot, people: People) -> None:
    place = {"user_id": 1001, "chat_id": GROUP}
    encoded = base64.b64encode(PNG).decode()
    people.do("photos", **place, photo_base64=encoded, caption="look")
    message = bot.updates()[0]["message"]
    assert message["caption"] == "look" and message["photo"][-1]["width"] == 40
    assert people.refused("photos", **place, photo_base64="***")[0] == 400
    broken = base64.b64encode(b"no picture").decode()
    assert "IMAGE_PROCESS_FAILED" in people.refused("photos", **place, photo_base64=broken)[1]
