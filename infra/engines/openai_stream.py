"""A streamed answer of OpenAI's API (server-sent events), put together as if it had come in one piece. Pure."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from infra.engines.openai_wire import parse_json
from schemas.errors import EngineError, EngineFault

STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
"""Fields of a request for a streamed answer with token counts."""


async def read_events(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """Read the chunks out of an event stream's lines. Raises EngineError(GARBLED) where the stream breaks off, UNHEALTHY where it tells of an error."""
    ended = False
    async for line in lines:
        if not line.startswith("data:"):
            continue  # comments, event names, blank lines
        data = line[5:].strip()
        if data == "[DONE]":
            return
        chunk = parse_json(data.encode())
        if not isinstance(chunk, dict):
            raise EngineError(f"a piece of the stream is {data:.80}", fault=EngineFault.GARBLED)
        if chunk.get("error"):
            raise EngineError(f"the stream ended with {chunk['error']!s:.300}", fault=EngineFault.UNHEALTHY)
        ended = ended or any(isinstance(choice, dict) and choice.get("finish_reason") for choice in chunk.get("choices") or [])
        yield chunk
    if not ended:
        raise EngineError("the stream broke off", fault=EngineFault.GARBLED)


def join_chunks(chunks: Sequence[dict[str, Any]], *, chat: bool) -> dict[str, Any]:
    """Make one body of all chunks: text joined, the reason and the counts where they stand."""
    choices = [choice for chunk in chunks for choice in (chunk.get("choices") or [])[:1]]
    reason = next((one["finish_reason"] for one in reversed(choices) if one.get("finish_reason")), None)
    usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), None)
    texts = [(one.get("delta") or {}).get("content") if chat else one.get("text") for one in choices]
    text = "".join(one for one in texts if isinstance(one, str))
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return {"choices": [{"index": 0, "finish_reason": reason, **said}], "usage": usage} if choices else {"choices": []}
