"""Load in asyncio: requests to a server over plain sockets, what came of each, and when. Shares no code with
`llmrt bench-serve`, so that the figures of the two can be held against each other."""
import asyncio
import dataclasses
import json
import time


@dataclasses.dataclass
class Answer:
    status: int = 0  # 0: no whole answer came
    error: str = ""
    text: str = ""
    body: dict = None  # of an answer in one piece
    usage: dict = None
    done: bool = False  # the stream ended as streams do
    sent: float = 0.0  # seconds of time.perf_counter(), as are the others
    events: list = dataclasses.field(default_factory=list)  # when each event with a choice came

    @property
    def good(self):
        return self.status == 200 and self.done and not self.error


class Connection:
    """One connection, kept alive from request to request."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def __aenter__(self):
        await self.open()
        return self

    async def __aexit__(self, *_):
        self.close()

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    def send(self, method, path, body):
        text = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n\r\n"
        self.writer.write(head.encode() + text)

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return int(lines[0].split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}

    async def pieces(self, headers):
        """The body as it comes: whole, or chunk by chunk."""
        if "content-length" in headers:
            yield await self.reader.readexactly(int(headers["content-length"]))
        while "chunked" in headers.get("transfer-encoding", ""):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
            if size == 0:
                return
            yield data[:size]

    async def ask(self, path, body, method="POST"):
        """An answer in one piece."""
        answer = Answer(sent=time.perf_counter())
        self.send(method, path, body)
        answer.status, headers = await self.head()
        data = b"".join([piece async for piece in self.pieces(headers)])
        if headers.get("content-type", "").startswith("application/json"):
            answer.body = json.loads(data)
            answer.usage = answer.body.get("usage")
            choices = answer.body.get("choices") or [{}]
            answer.text = choices[0].get("text", "")
        else:
            answer.text = data.decode()
        answer.done = True
        return answer

    async def stream(self, path, body, leave_after=None, answer=None):
        """A stream of completions; with `leave_after` the connection is closed after so many events. An `answer` that
        is given is filled while the stream runs."""
        answer = answer or Answer()
        answer.sent = time.perf_counter()
        self.send("POST", path, {**body, "stream": True})
        answer.status, headers = await self.head()
        left = b""
        async for piece in self.pieces(headers):
            if answer.status != 200:
                answer.error = piece.decode()
                continue
            *events, left = (left + piece).split(b"\n\n")
            now = time.perf_counter()
            for event in events:
                take_event(answer, event, now)
            if leave_after is not None and len(answer.events) >= leave_after:
                self.close()
                return answer
        return answer


def take_event(answer, event, now):
    if event == b"data: [DONE]":
        answer.done = True
        return
    data = json.loads(event.removeprefix(b"data: "))
    if "error" in data:
        answer.error = event.decode()
    if data.get("choices"):
        answer.events.append(now)
        answer.text += data["choices"][0]["text"]
    answer.usage = data.get("usage") or answer.usage


async def request(port, body, path="/v1/completions", stream=True):
    """One request on a connection of its own; a connection that breaks is an answer with an error."""
    sent = time.perf_counter()
    try:
        async with Connection(port) as connection:
            answer = await (connection.stream(path, body) if stream else connection.ask(path, body))
    except (OSError, asyncio.IncompleteReadError) as error:
        answer = Answer(error=f"the connection broke: {error!r}")
    answer.sent = sent  # connecting is part of what a client waits for
    return answer


async def arrivals(port, timed, path="/v1/completions"):
    """Sends each body of `timed`, pairs (seconds from now, body), at its time. Returns the start and the answers."""
    start = time.perf_counter()

    async def one(at, body):
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        return await request(port, body, path)

    return start, await asyncio.gather(*(one(at, body) for at, body in timed))


def percentile(values, percent):
    values = sorted(values)
    at = percent / 100 * (len(values) - 1)
    low = int(at)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (at - low)


async def in_turns(port, bodies, connections, take):
    """All of `bodies`, an iterator, over so many connections kept alive; `take(connection, body)` makes one request."""
    bodies = iter(bodies)

    async def work():
        async with Connection(port) as connection:
            for body in bodies:
                await take(connection, body)

    await asyncio.gather(*(work() for _ in range(connections)))
