"""The server's memory over many requests of every kind: it stops growing."""
import asyncio
import time

import load_client
import serving

GROWTH_BYTES = 1 << 20  # from a fifth of the requests on; what an allocator keeps back moves by less


def bodies(count):
    for i in range(count):
        yield i, {"prompt": f"Once upon a time number {i % 977}", "max_tokens": 1 + i % 6, "temperature": 0,
                  "ignore_eos": True}


async def one(connection, numbered, wrong):
    """Most are plain answers; some are streams, some refused, some left by their client in the middle."""
    i, body = numbered
    if i % 10 == 3:
        answer = await connection.stream("/v1/completions", {**body, "stream_options": {"include_usage": True}})
        good = answer.good and answer.usage["completion_tokens"] == body["max_tokens"]
    elif i % 50 == 4:
        answer = await connection.stream("/v1/completions", {**body, "max_tokens": 64}, leave_after=1)
        good = answer.status == 200
        await connection.open()
    elif i % 50 == 5:
        answer = await connection.ask("/v1/completions", {**body, "max_tokens": "many"})
        good = answer.status == 400
    elif i % 50 == 6:
        answer = await connection.ask("/tokenize", {"prompt": body["prompt"]})
        good = answer.status == 200 and answer.body["count"] > 0
    else:
        answer = await connection.ask("/v1/completions", body)
        good = answer.status == 200 and answer.usage["completion_tokens"] == body["max_tokens"]
    if not good:
        wrong.append((i, answer.status, answer.error))


def flat(options, artifact, tally):
    # A small pool, so that every page of it has been touched when warm-up ends.
    with serving.Server(options.llmrt, artifact, "--port", 0, "--kv-pages", 512) as server:
        wrong, samples = [], []

        async def take(connection, numbered):
            if numbered[0] % max(1, options.requests // 50) == 0:
                samples.append(int(serving.metrics(server)["process_resident_memory_bytes"]))
            await one(connection, numbered, wrong)

        start = time.monotonic()
        asyncio.run(load_client.in_turns(server.port, bodies(options.requests), 32, take))
        taken = time.monotonic() - start
        tally.check(not wrong, f"{len(wrong)} of {options.requests} requests failed, the first: {wrong[:1]}")
        serving.check_idle(server, tally)
        samples.append(int(serving.metrics(server)["process_resident_memory_bytes"]))
        warm = samples[len(samples) // 5]
        grown = max(samples[len(samples) // 5:]) - warm
        tally.check(grown <= GROWTH_BYTES, f"memory grew by {grown} bytes after warm-up: {samples}")
        print(f"{options.requests} requests in {taken:.0f} s: resident memory {warm / 1e6:.1f} MB after a fifth of "
              f"them, at most {grown / 1e6:.2f} MB more since")
