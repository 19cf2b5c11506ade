"""An address service that fails, as a process: `python -m tests.unreliable_kakao PORT FOLDER`.

Of so many calls each: an error, a broken connection, a body cut off, 429 with Retry-After, and silence. While the file
FOLDER/spent-until holds a later time, the quota is spent. What was answered well is a line of FOLDER/answered.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

# Cut so often that of some thousand questions several meet it three times in a row.
TROUBLE = {0.08: "cut", 0.07: "error", 0.05: "drop", 0.03: "429", 0.005: "silence"}
SILENT_SECONDS = 60


def address(x: str, y: str) -> str:
    """The address of a position, made up."""
    return f"대구 중구 공평로 {x} {y}"


def body(x: str, y: str) -> bytes:
    """A good answer."""
    place = {"road_address": None, "address": {"address_name": address(x, y)}}
    return json.dumps({"meta": {"total_count": 1}, "documents": [place]}, ensure_ascii=False).encode()


class Service:
    def __init__(self, folder: Path) -> None:
        self._spent = folder / "spent-until"
        self._answered = (folder / "answered").open("a", buffering=1, encoding="utf-8")
        self._arrived = (folder / "arrived").open("a", buffering=1, encoding="utf-8")
        self._random = Random()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All calls of a connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                query = parse_qs(urlsplit(head.split(b" ", 2)[1].decode()).query)
                x, y = query["x"][0], query["y"][0]
                self._arrived.write(f"{x},{y}\n")
                if not await self._answer(writer, x, y):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, x: str, y: str) -> bool:
        """Answer, or not; False: the connection ends."""
        until = float(self._spent.read_text()) if self._spent.exists() else 0.0
        if until > time.time():
            told = json.dumps({"code": -10, "msg": "API limit has been exceeded."}).encode()
            return self._write(writer, "400 Bad Request", told, retry_after=max(1, round(until - time.time())))
        if not (outcome := self._trouble()):
            self._answered.write(f"{x},{y}\n")
            return self._write(writer, "200 OK", body(x, y))
        if outcome == "error":
            return self._write(writer, "500 Internal Server Error", b"")
        if outcome == "cut":
            return self._write(writer, "200 OK", body(x, y)[:40])
        if outcome == "429":
            return self._write(writer, "429 Too Many Requests", b"", retry_after=1)
        if outcome == "silence":
            await asyncio.sleep(SILENT_SECONDS)
        return False

    def _trouble(self) -> str | None:
        draw = self._random.random()
        for share, outcome in TROUBLE.items():
            if draw < share:
                return outcome
            draw -= share
        return None

    @staticmethod
    def _write(writer: asyncio.StreamWriter, status: str, content: bytes, retry_after: int | None = None) -> bool:
        more = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{more}\r\n".encode() + content)
        return True


async def main(port: int, folder: Path) -> None:
    """Serve until it is killed."""
    server = await asyncio.start_server(Service(folder).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
