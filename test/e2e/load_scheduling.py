"""What the scheduler promises under load: predicted admission preempts nobody, a drain loses nobody."""
import asyncio
import random
import signal

import load_client
import serving


def random_bodies(count, seed):
    draw = random.Random(seed)
    for _ in range(count):
        prompt = [draw.randrange(3, 512) for _ in range(draw.randrange(1, 200))]
        yield {"prompt": prompt, "max_tokens": draw.randrange(1, 300), "temperature": 0, "ignore_eos": True,
               "n": draw.choice((1, 1, 1, 2)), "stream_options": {"include_usage": True}}


def load(server, bodies, tally, what):
    _, answers = asyncio.run(load_client.arrivals(server.port, [(0, body) for body in bodies]))
    bad = [a.error or a.status for a in answers if not a.good]
    tally.check(not bad, f"{what}: {len(bad)} of {len(answers)} failed, the first with {bad[:1]}")
    told = [a.usage and a.usage["completion_tokens"] for a in answers]
    tally.check(told == [body["max_tokens"] * body["n"] for body in bodies], f"{what}: all tokens came")
    serving.check_idle(server, tally)
    return answers


def admission(options, artifact, tally):
    """The same load in a pool of four long requests: optimistic admission has to preempt, predicted has not."""
    bodies = list(random_bodies(max(80, options.streams // 4), 1))
    texts = {}
    for kind in ("optimistic", "predicted"):
        flags = ("--admission", kind, "--kv-pages", 128, "--max-num-seqs", 32)
        with serving.Server(options.llmrt, artifact, "--port", 0, *flags) as server:
            answers = load(server, bodies, tally, kind)
            # Streams of two answers have their tokens in any order.
            texts[kind] = [a.text for a, body in zip(answers, bodies) if body["n"] == 1]
            values = serving.metrics(server)
            preempted = values["vllm:num_preemptions_total"]
            tally.check(preempted > 0 if kind == "optimistic" else preempted == 0, f"{kind}: {preempted} preemptions")
            tally.check(values['vllm:request_success_total{finished_reason="error"}'] == 0, f"{kind}: no errors")
            print(f"admission {kind}: {len(bodies)} requests, {preempted:.0f} preemptions")
            tally.check(server.end(signal.SIGTERM) == 0, f"{kind}: a clean end")
    tally.check(texts["optimistic"] == texts["predicted"], "the same texts, preempted or not")


async def signal_in_the_middle(server, bodies):
    async def term():
        await asyncio.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)

    late = [(0.8 + i / 100, body) for i, body in enumerate(bodies[:20])]
    (_, answers), _ = await asyncio.gather(load_client.arrivals(server.port, [(0, b) for b in bodies] + late), term())
    return answers[:len(bodies)], answers[len(bodies):]


def drain(options, artifact, tally):
    """SIGTERM under load: what was taken is answered to its end, what comes later is told so, and the end is clean."""
    bodies = [{**body, "n": 1} for body in random_bodies(options.streams // 2, 2)]
    with serving.Server(options.llmrt, artifact, "--port", 0, "--max-num-seqs", 16) as server:
        alone = [server.alone(body) for body in bodies[:30]]
        answers, late = asyncio.run(signal_in_the_middle(server, bodies))
        whole = sum(a.good for a in answers)
        refused = sum(a.status == 503 or (a.status == 0 and not a.events) for a in answers)
        tally.check(whole + refused == len(answers), f"drain: {len(answers) - whole - refused} streams broke off")
        same = all(a.text == text for a, text in zip(answers, alone) if a.good)
        tally.check(whole > 0 and same, "drained answers are those that each gets alone")
        tally.check(all(a.status in (0, 503) for a in late), "drain: who comes late is refused")
        tally.check(server.process.wait(timeout=60) == 0, "drain: a clean end")
        print(f"drain: {whole} of {len(answers)} streams were finished, {refused} refused")
