"""JSON from people and programs, as far as a database can store it."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def read_json(text: str | bytes) -> Any:
    """Plain data. Raises ValueError, whose message says what is wrong."""
    try:
        data = json.loads(text, parse_constant=_no_number)
        written = json.dumps(data, ensure_ascii=False)
        written.encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no text") from None
    if "\\u0000" in written:
        raise ValueError("it holds a NUL character, which is no text")
    return data


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")
