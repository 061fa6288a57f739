"""A local server of OpenAI's chat completions with slots and log-normal latency, for clients that speak nothing else; it keeps the books on itself.

python -m benchmarks.fan_out_server SLOTS MEAN_S        prints its port

The desk (slots, queue, latency) and the language are the rehearsal models' own. Beside the API: GET /books gives when each call was answered and how many
seconds of a slot it took, since the last DELETE /books.
"""

import asyncio
import json
import sys
import time
from typing import Any

from benchmarks.driving import draw_s, options_of
from infra.triton.rehearsal_language.speak import Asked, Said, Temper, speak
from infra.triton.rehearsal_models.desk import Desk

_CALM = Temper()


class Nobody:
    """A client that never hangs up, as far as the desk can tell over HTTP."""

    def is_cancelled(self) -> bool:
        """Say no."""
        return False


class Server:
    """Answers, and notes when."""

    def __init__(self, slots: int, mean_s: float) -> None:
        self.options = options_of(slots, mean_s)
        self.desk = Desk(self.options, lambda _: None)
        self.books: list[tuple[float, float]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                content = json.dumps(await self.answer(head.split(" ")[0], head.split(" ")[1], body)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str, body: bytes) -> Any:
        """Answer one request."""
        if path.endswith("/books"):
            books = self.books
            if method == "delete":
                self.books = []
            return books
        if method == "get":
            return {"object": "list", "data": [{"id": "served", "object": "model", "owned_by": "bench", "created": 0}]}
        return await self.complete(json.loads(body))

    async def complete(self, asked: dict[str, Any]) -> Any:
        """Answer a chat, holding a slot for its service time."""
        text = asked["messages"][-1]["content"]
        text = text if isinstance(text, str) else "".join(part["text"] for part in text)
        async with self.desk.serve(text, Nobody()):
            said = speak(Asked(text, asked.get("max_tokens") or asked.get("max_completion_tokens") or 64), _CALM)
        self.books.append((time.monotonic(), draw_s(self.options, text)))
        return chat(said)


def chat(said: Said) -> Any:
    """Write an answer as OpenAI's API does."""
    usage = {"prompt_tokens": said.prompt_tokens, "completion_tokens": said.completion_tokens, "total_tokens": said.prompt_tokens + said.completion_tokens}
    message = {"role": "assistant", "content": said.text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": said.finish_reason, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "served", "choices": [choice], "usage": usage}


async def main() -> None:
    server = Server(int(sys.argv[1]), float(sys.argv[2]))
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096) as listening:
        print(listening.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
