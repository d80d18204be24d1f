"""A replay of the Azure LLM inference trace (TIMESTAMP,ContextTokens,GeneratedTokens), or of a made-up one of its form:
faster by a factor, all lengths smaller by the one that makes the longest request fit the model."""
import asyncio
import csv
import datetime
import json
import math
import random

import load_client
import serving


def make_trace(path, seconds, seed=1):
    """Poisson arrivals, five a second, in bursts and lulls; lengths log-normal, as long as those of the real one."""
    draw = random.Random(seed)
    now, start = 0.0, datetime.datetime(2023, 11, 16, 18, 15, 46, 680590)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["TIMESTAMP", "ContextTokens", "GeneratedTokens"])
        while True:
            now += draw.expovariate(5.0 * (1.0 + 0.8 * math.sin(now / 20)))
            if now >= seconds:
                return
            when = start + datetime.timedelta(seconds=now)
            context = min(7000, max(3, int(draw.lognormvariate(6.5, 1.1))))
            generated = min(1000, max(7, int(draw.lognormvariate(4.6, 0.9))))
            rows.writerow([f"{when:%Y-%m-%d %H:%M:%S.%f}0", context, generated])


def read_trace(path, minutes):
    """(seconds since the first, context tokens, generated tokens) of the trace's first minutes."""
    rows, first = [], None
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            # The trace has seven digits of a second, Python six.
            when = datetime.datetime.strptime(row["TIMESTAMP"][:26], "%Y-%m-%d %H:%M:%S.%f")
            first = first or when
            at = (when - first).total_seconds()
            if at >= 60 * minutes:
                break
            rows.append((at, int(row["ContextTokens"]), int(row["GeneratedTokens"])))
    return rows


def requests(rows, speed, room, vocabulary):
    """Bodies for a model of `room` tokens; prompts are ids of a generator that the place in the trace seeds."""
    scale = (room - 2) / max(context + generated for _, context, generated in rows)
    for place, (at, context, generated) in enumerate(rows):
        draw = random.Random(place)
        prompt = [draw.randrange(3, vocabulary) for _ in range(max(1, round(context * scale)))]
        yield at / speed, {"prompt": prompt, "max_tokens": max(1, round(generated * scale)), "temperature": 0,
                           "ignore_eos": True, "stream_options": {"include_usage": True}}


def replay(options, artifact, tally):
    trace = options.trace or artifact.parent / "trace.csv"
    if not options.trace:
        make_trace(trace, 60 * options.trace_minutes)
    rows = read_trace(trace, options.trace_minutes)
    with serving.Server(options.llmrt, artifact, "--port", 0) as server:
        model = json.loads(server.ask("GET", "/v1/models")[1])["data"][0]
        timed = list(requests(rows, options.trace_speed, model["max_model_len"], model["meta"]["n_vocab"]))
        start, answers = asyncio.run(load_client.arrivals(server.port, timed))
        bad = [a.error or a.status for a in answers if not a.good]
        tally.check(not bad, f"{len(bad)} of {len(answers)} requests of the trace failed, the first with {bad[:1]}")
        lengths = [(len(body["prompt"]), body["max_tokens"]) for _, body in timed]
        told = [(a.usage["prompt_tokens"], a.usage["completion_tokens"]) if a.usage else None for a in answers]
        tally.check(lengths == told, "each request of the trace is as long as it was asked to be")
        some = random.Random(1).sample(range(len(timed)), min(100, len(timed)))
        wrong = [place for place in some if answers[place].text != server.alone(timed[place][1])]
        tally.check(not wrong, f"requests {wrong} of the trace have not the text they get alone")
        late = max(a.sent - start - at for a, (at, _) in zip(answers, timed))
        tokens = [sum(pair) for pair in zip(*lengths)]
        print(f"trace: {len(timed)} requests of {options.trace_minutes:g} minutes at {options.trace_speed:g} times the "
              f"speed, {tokens[0]} tokens in, {tokens[1]} out, sent at most {late * 1e3:.0f} ms late")
        serving.check_idle(server, tally)
